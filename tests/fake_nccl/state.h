// SPDX-License-Identifier: Apache-2.0
// All that the fake NCCL knows: communicators, the messages between them, and what a test lets fail.
#ifndef SIGNCCL_TESTS_FAKE_NCCL_STATE_H_
#define SIGNCCL_TESTS_FAKE_NCCL_STATE_H_

#include <array>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "fake_nccl/fake_nccl.h"

namespace fake_nccl {

using signccl::CudaStream;
using signccl::NcclHandle;

enum class OperationKind { kSend, kRecv, kAllGather, kAllReduce };

/// What one call asks for. An all-gather sends `from`, and receives into `to` from rank after rank. An all-reduce
/// writes `to` when all ranks have taken `from`, which may be the same.
struct Operation {
  OperationKind kind = OperationKind::kSend;
  const std::byte* from = nullptr;
  std::byte* to = nullptr;
  std::size_t bytes = 0;
  int peer = -1;  ///< -1 of a collective
  CudaStream stream = nullptr;
  int type = 0;  ///< of an all-reduce, as ncclDataType_t
  int op = 0;    ///< of an all-reduce, as ncclRedOp_t
};

/// A send that the receiver has not taken yet.
struct Message {
  const std::byte* from = nullptr;
  std::size_t bytes = 0;
  bool is_taken = false;
};

/// The ranks of one unique id.
struct Meeting {
  int nranks = 0;
  int arrived = 0;
  /// [split][rank]: color and key, of the splits of this communicator in their order
  std::vector<std::map<int, std::pair<int, int>>> splits;
  std::shared_ptr<Meeting> grown;  ///< the last one that is to have these ranks and others
  int connected = 0;               ///< ranks that have ended a group: before all have, none is connected
  /// [kind, sender, receiver] in the order of the sends.
  std::map<std::tuple<OperationKind, int, int>, std::deque<std::shared_ptr<Message>>> messages;
};

struct Communicator {
  std::shared_ptr<Meeting> meeting;
  int rank = 0;
  int device = 0;
  signccl::CudaContext context = nullptr;  ///< the primary one of the device, retained
  bool is_blocking = true;
  bool is_connected = false;
  bool is_aborted = false;
  bool is_revoked = false;
  bool is_launching = false;
  int nsplits = 0;
  int nshrinks = 0;
  int ntasks = 0;                  ///< on streams, and replays that are under way
  int ngraphs = 0;                 ///< captured groups whose graphs are left
  std::vector<Operation> pending;  ///< of a group that waits for connections
  NcclResult error = NcclResult::kSuccess;
};

/// What a stream carries out of one group.
struct Task {
  std::shared_ptr<Communicator> comm;
  std::vector<Operation> operations;
  bool is_captured = false;  ///< it is carried out in each replay
};

struct State {
  std::mutex mutex;  ///< guards everything; not held while CUDA is called
  std::condition_variable changed;
  int version = 23003;
  long calls = 0;
  long failing_call = 0;  ///< 0: none
  NcclResult failing_result = NcclResult::kSuccess;
  int naborted = 0;
  int nending = 0;  ///< communicators that are destroyed or aborted, and wait for graphs
  std::vector<std::string> violations;
  std::map<CudaStream, int> groups_on;                       ///< since the last reset
  long nall_reduces = 0;                                     ///< since the last reset
  std::map<std::string, std::shared_ptr<Meeting>> meetings;  ///< by unique id, and by what is split
  std::map<NcclHandle, std::shared_ptr<Communicator>> communicators;
  std::map<void*, std::shared_ptr<Task>> tasks;
  std::uintptr_t last_number = 0;  ///< of an id, a handle or a task
};

State& state();

/// How a call fails: thrown by what call() runs.
struct Refusal : std::exception {
  explicit Refusal(NcclResult code) : result(code) {}
  NcclResult result;
};

/// Carries out a call with the state locked, unless a test lets it fail.
template <typename Body>
NcclResult call(const Body& body) noexcept {
  State& all = state();
  std::unique_lock lock(all.mutex);
  ++all.calls;
  if (all.failing_call > 0) {
    --all.failing_call;
    if (all.failing_call == 0) return all.failing_result;
  }
  try {
    return body(all, lock);
  } catch (const Refusal& refusal) {
    return refusal.result;
  }
}

/// Notes a use that NCCL forbids. Throws kInvalidUsage.
[[noreturn]] void violate(State& all, const std::string& what);

/// Throws if there is no such communicator.
std::shared_ptr<Communicator> communicatorOf(State& all, NcclHandle handle);

/// Where a rank joins.
struct Place {
  std::shared_ptr<Meeting> meeting;
  int nranks = 0;
  int rank = 0;
  bool is_blocking = true;
};

/// Makes a communicator, and waits for the other ranks if it blocks and no group is open. Throws Refusal.
NcclResult join(State& all, std::unique_lock<std::mutex>& lock, const Place& place, NcclHandle* handle);

/// If this thread has a group open: has its end write the handle, when all ranks of the meeting have arrived.
bool deferToGroupEnd(NcclHandle* handle, NcclHandle made, const std::shared_ptr<Meeting>& meeting);

/// If this thread has a group open: its end says that a communicator is in progress.
bool noteUnfinished();

/// What a non-blocking communicator is about: puts what is pending on its streams once all ranks are connected.
NcclResult advance(State& all, std::unique_lock<std::mutex>& lock, Communicator& comm,
                   const std::shared_ptr<Communicator>& shared);

}  // namespace fake_nccl

#endif  // SIGNCCL_TESTS_FAKE_NCCL_STATE_H_
