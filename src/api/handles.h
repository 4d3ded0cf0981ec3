// SPDX-License-Identifier: Apache-2.0
// The communicators and requests that users hold.
#ifndef SIGNCCL_API_HANDLES_H_
#define SIGNCCL_API_HANDLES_H_

#include <atomic>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "api/handle_table.h"
#include "api/sum_call.h"
#include "base/error.h"
#include "comm/communicator.h"
#include "nccl/nccl_rank.h"
#include "signccl/signccl.h"
#include "stream/slot_engine.h"
#include "stream/stream_rank.h"

namespace signccl {

/// A communicator with what the C API knows of it.
class CommHandle {
 public:
  explicit CommHandle(std::unique_ptr<Communicator> owned) : comm(std::move(owned)), replays_(*comm) {}

  /// Notes an error of a call on it. Any thread.
  void noteError(const Failure& failure) noexcept;

  /// What went wrong last: the failure that made the communicator unusable, unless a call has reported an error since;
  /// empty if nothing did. Any thread.
  [[nodiscard]] std::string lastError() const;

  /// What the rank enqueues on streams of a device; made at the first call. Throws what StreamDevice::get() and
  /// StreamRank throw. One thread at a time.
  StreamRank& streamsOf(int device);

  /// What carries out votes and averages on streams of a device, as the communicator's options want it. Throws what
  /// streamsOf() throws, and signcclInvalidArgument if NCCL serves the rank on another device. One thread at a time.
  StreamEngine& engineOf(int device);
  /// Of calls, and of replays of CUDA graphs.
  [[nodiscard]] CommCounters counters() const;

  /// Waits for an operation as Communicator::wait() does; if it is a sum, then tells its outcome and throws what
  /// tellSum() throws.
  void wait(Operation& operation, const std::optional<SumCall>& sum) {
    const Notes notes = comm->wait(operation);
    if (sum) tellSum(*sum, notes);
  }

  /// Tells the outcome of a sum whose exchange is over, after a search for the first value that does not fit. Throws
  /// what tellOutcome() and StreamRank::findMisfit() throw.
  void tellSum(const SumCall& sum, const Notes& notes);

  const std::unique_ptr<Communicator> comm;
  std::atomic<int> noted_calls = 0;  ///< collectives that open groups hold

 private:
  std::unique_ptr<StreamEngine> makeEngine(int device);
  std::optional<Misfit> findMisfit(const SumCall& sum);

  std::map<int, StreamRank> streams_;                     ///< by device; used by one thread at a time
  std::map<int, std::unique_ptr<StreamEngine>> engines_;  ///< by device; used by one thread at a time
  ReplayService replays_;  ///< ends first: it gives up memory that streams_ can free then
  mutable std::mutex error_mutex_;
  std::string last_error_;
  bool is_noted_since_failure_ = false;  ///< last_error_ is younger than the failure of the communicator
};
using CommPointer = std::shared_ptr<CommHandle>;

/// A non-blocking collective.
struct PendingRequest {
  CommPointer comm;
  Operation* operation = nullptr;  ///< null until it is queued
  std::exception_ptr failure;      ///< set where it could not be queued
  std::optional<SumCall> sum;      ///< if it is one
};

HandleTable<signcclComm_t, CommPointer>& commHandles();
HandleTable<signcclRequest_t, PendingRequest>& requestHandles();

/// Throws signcclInvalidArgument for NULL, and signcclInvalidUsage for a handle that was destroyed or, after fork(),
/// belongs to the parent process.
CommPointer findComm(signcclComm_t comm);

/// Throws signcclInvalidUsage: `what`, such as "the communicator", was made at that fork depth, before fork().
[[noreturn]] void refuseOfParent(const char* what, std::uint8_t fork_depth);

/// What a handle stands for, e.g. find(commHandles(), comm, "the communicator", "communicator"). Throws
/// signcclInvalidUsage for a handle that was destroyed or, after fork(), belongs to the parent process. `what` and
/// `kind` are for messages.
template <typename Handle, typename Value>
Value find(HandleTable<Handle, Value>& handles, Handle handle, const char* what, const char* kind) {
  if (handles.isOfParent(handle)) refuseOfParent(what, handles.depthOf(handle));
  std::optional<Value> found = handles.find(handle);
  if (!found) throw Error(signcclInvalidUsage, std::string("invalid ") + kind + " handle: destroyed or never created");
  return *std::move(found);
}

}  // namespace signccl

#endif  // SIGNCCL_API_HANDLES_H_
