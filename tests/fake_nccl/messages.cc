// SPDX-License-Identifier: Apache-2.0
// Groups, and the messages of a group: one task for each communicator, on its stream.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "fake_cuda/driver_api.h"
#include "fake_cuda/fake_cuda.h"
#include "fake_nccl/captures.h"
#include "fake_nccl/nccl_api.h"
#include "fake_nccl/reduction.h"
#include "fake_nccl/state.h"

namespace fake_nccl {
namespace {

using fake_cuda::FakeMemory;

constexpr int kGarbage = 0x5A;

/// What a receive waits for.
struct Awaited {
  OperationKind kind;
  int from;
  std::byte* to;
  std::size_t bytes;
};

/// A task under way.
class Kernel {
 public:
  explicit Kernel(const Task& task) : comm_(*task.comm) {
    for (const Operation& operation : task.operations) begin(operation);
  }

  /// With the lock, which it gives up while it waits. NCCL waits for ever where sizes differ, and so does this.
  void run(State& all, std::unique_lock<std::mutex>& lock) {
    all.changed.notify_all();
    while (!comm_.is_aborted) {
      if (std::erase_if(awaited_, [&](const Awaited& one) { return receive(one); }) > 0) all.changed.notify_all();
      if (awaited_.empty() && std::ranges::all_of(sent_, [](const auto& one) { return one->is_taken; })) {
        for (const auto& [operation, parts] : reductions_) reduce(operation, parts);
        return;
      }
      all.changed.wait(lock);
    }
    // Kernels of NCCL return when they are aborted, whatever their memory holds.
    for (const Awaited& one : awaited_) std::memset(FakeMemory::translate(one.to), kGarbage, one.bytes);
    for (auto& [key, queue] : comm_.meeting->messages) {
      std::erase_if(queue, [&](const auto& message) { return std::ranges::find(sent_, message) != sent_.end(); });
    }
  }

 private:
  void begin(const Operation& operation) {
    if (operation.kind == OperationKind::kSend) send(operation, operation.peer);
    if (operation.kind == OperationKind::kRecv) {
      awaited_.push_back({OperationKind::kSend, operation.peer, operation.to, operation.bytes});
    }
    if (operation.kind == OperationKind::kAllReduce) beginAllReduce(operation);
    if (operation.kind != OperationKind::kAllGather) return;
    for (int rank = 0; rank < comm_.meeting->nranks; ++rank) {
      std::byte* const part = operation.to + static_cast<std::size_t>(rank) * operation.bytes;
      if (rank == comm_.rank) {
        std::memmove(FakeMemory::translate(part), FakeMemory::translate(operation.from), operation.bytes);
      } else {
        send(operation, rank);
        awaited_.push_back({OperationKind::kAllGather, rank, part, operation.bytes});
      }
    }
  }

  void beginAllReduce(const Operation& operation) {
    const auto nranks = static_cast<std::size_t>(comm_.meeting->nranks);
    auto& [kept, parts] = reductions_.emplace_back(operation, std::vector<std::byte>(nranks * operation.bytes));
    for (int rank = 0; rank < comm_.meeting->nranks; ++rank) {
      std::byte* const part = parts.data() + static_cast<std::size_t>(rank) * operation.bytes;
      if (rank == comm_.rank) {
        std::memcpy(part, FakeMemory::translate(operation.from), operation.bytes);
      } else {
        send(operation, rank);
        awaited_.push_back({OperationKind::kAllReduce, rank, part, operation.bytes});
      }
    }
  }

  void reduce(const Operation& operation, const std::vector<std::byte>& parts) const {
    std::byte* const to = FakeMemory::translate(operation.to);
    reduceParts(operation.type, operation.op, comm_.meeting->nranks, parts, {to, operation.bytes});
  }

  void send(const Operation& operation, int to) {
    auto message = std::make_shared<Message>(Message{operation.from, operation.bytes});
    comm_.meeting->messages[{operation.kind, comm_.rank, to}].push_back(message);
    sent_.push_back(std::move(message));
  }

  bool receive(const Awaited& one) {
    auto& queue = comm_.meeting->messages[{one.kind, one.from, comm_.rank}];
    // Several receives from one rank are served in their order.
    if (queue.empty() || queue.front()->bytes != one.bytes) return false;
    std::memcpy(FakeMemory::translate(one.to), FakeMemory::translate(queue.front()->from), one.bytes);
    queue.front()->is_taken = true;
    queue.pop_front();
    return true;
  }

  Communicator& comm_;
  std::vector<std::shared_ptr<Message>> sent_;
  std::vector<Awaited> awaited_;
  std::deque<std::pair<Operation, std::vector<std::byte>>> reductions_;  ///< all-reduces and the vectors of all ranks
};

void runTask(void* number) {
  State& all = state();
  std::unique_lock lock(all.mutex);
  const auto found = all.tasks.find(number);
  if (found == all.tasks.end()) return;
  const std::shared_ptr<Task> task = found->second;
  if (task->is_captured) {
    ++task->comm->ntasks;
  } else {
    all.tasks.erase(found);
  }
  Kernel(*task).run(all, lock);
  --task->comm->ntasks;
  all.changed.notify_all();
}

/// A communicator's context is current while the object lives.
class CurrentContext {
 public:
  explicit CurrentContext(signccl::CudaContext context)
      : is_current_(signccl::cuCtxPushCurrent_v2(context) == signccl::CudaResult::kSuccess) {}
  ~CurrentContext() {
    // Again, if a test lets it fail.
    if (is_current_ && signccl::cuCtxPopCurrent_v2(nullptr) != signccl::CudaResult::kSuccess) {
      signccl::cuCtxPopCurrent_v2(nullptr);
    }
  }
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;

 private:
  bool is_current_;
};

/// False if it surely is not.
bool isOfDevice(const std::byte* memory, std::size_t bytes, int device) {
  if (bytes == 0) return true;
  int ordinal = -1;
  signccl::CudaDevicePointer begin = 0;
  std::size_t size = 0;
  signccl::CudaPointerAttribute wanted[] = {signccl::CudaPointerAttribute::kDeviceOrdinal,
                                            signccl::CudaPointerAttribute::kRangeStart,
                                            signccl::CudaPointerAttribute::kRangeSize};
  void* values[] = {&ordinal, static_cast<void*>(&begin), &size};
  const auto address = std::bit_cast<std::uintptr_t>(memory);
  if (signccl::cuPointerGetAttributes(3, wanted, values, address) != signccl::CudaResult::kSuccess) return true;
  return ordinal == device && address >= begin && address - begin + bytes <= size;
}

/// Why what a communicator is to do in a group cannot be put on a stream; empty if it can. Without the lock.
std::string objectionTo(const Communicator& comm, const std::vector<Operation>& operations) {
  const auto nranks = static_cast<std::size_t>(comm.meeting->nranks);
  for (const Operation& one : operations) {
    const std::size_t received = one.kind == OperationKind::kAllGather ? nranks * one.bytes : one.bytes;
    if (one.stream != operations.front().stream) return "a group of one communicator uses two streams";
    if (one.from != nullptr && !isOfDevice(one.from, one.bytes, comm.device)) return "what is sent is on no device";
    if (one.to != nullptr && !isOfDevice(one.to, received, comm.device)) return "what is received goes to no device";
  }
  return {};
}

NcclResult launch(State& all, std::unique_lock<std::mutex>& lock, const std::shared_ptr<Communicator>& comm,
                  std::vector<Operation> operations) {
  const CudaStream stream = operations.front().stream;
  lock.unlock();
  const CurrentContext current(comm->context);
  const std::string objection = objectionTo(*comm, operations);
  const signccl::CudaGraph graph = graphOf(stream);
  lock.lock();
  if (!objection.empty()) violate(all, objection);
  void* const number = reinterpret_cast<void*>(++all.last_number);
  all.tasks[number] = std::make_shared<Task>(Task{comm, std::move(operations), graph != nullptr});
  int& nowed = graph == nullptr ? comm->ntasks : comm->ngraphs;
  ++nowed;
  lock.unlock();
  const bool is_held = graph == nullptr || giveToGraph(graph, number);
  const bool is_enqueued =
      is_held && signccl::cuLaunchHostFunc(stream, runTask, number) == signccl::CudaResult::kSuccess;
  lock.lock();
  if (is_enqueued) {
    ++all.groups_on[stream];
    return NcclResult::kSuccess;
  }
  if (graph == nullptr || !is_held) {
    all.tasks.erase(number);
    --nowed;
  }
  return comm->error = NcclResult::kUnhandledCudaError;
}

/// The group of this thread.
struct Group {
  int depth = 0;
  NcclResult error = NcclResult::kSuccess;
  std::vector<std::pair<std::shared_ptr<Communicator>, std::vector<Operation>>> communicators;
  struct Made {
    NcclHandle* handle;
    NcclHandle value;
    std::shared_ptr<Meeting> meeting;
  };
  std::vector<Made> made;
  bool is_in_progress = false;  ///< a communicator is made that does not block
};
thread_local Group group;

void note(State& all, NcclHandle handle, const Operation& operation) {
  if (group.depth == 0) violate(all, "a message is sent outside of a group");
  const std::shared_ptr<Communicator> comm = communicatorOf(all, handle);
  const int nranks = comm->meeting->nranks;
  const bool has_peer = operation.kind == OperationKind::kSend || operation.kind == OperationKind::kRecv;
  if (comm->is_revoked) violate(all, "a communicator is used that was revoked");
  if (operation.kind == OperationKind::kAllReduce) ++all.nall_reduces;
  if (has_peer && (operation.peer < 0 || operation.peer >= nranks || operation.peer == comm->rank)) {
    violate(all, "a message goes to a rank that is none, or to itself");
  }
  if (comm->meeting->arrived < nranks || !comm->pending.empty() || comm->is_launching) {
    violate(all, "a communicator is used that is in progress");
  }
  const auto found = std::ranges::find(group.communicators, comm, [](const auto& one) { return one.first; });
  if (found != group.communicators.end()) {
    found->second.push_back(operation);
  } else {
    group.communicators.push_back({comm, {operation}});
  }
}

/// As NCCL has it, an error of a call is that of its group.
NcclResult noteCall(NcclHandle handle, const Operation& operation) {
  const NcclResult result = call([&](State& all, auto& /*lock*/) {
    note(all, handle, operation);
    return NcclResult::kSuccess;
  });
  if (result != NcclResult::kSuccess) group.error = result;
  return result;
}

/// As NCCL asks: all communicators of a group are captured, or none is.
void checkCaptures(State& all, std::unique_lock<std::mutex>& lock, const Group& done) {
  lock.unlock();
  std::size_t ncaptured = 0;
  for (const auto& [comm, operations] : done.communicators) {
    const CurrentContext current(comm->context);
    ncaptured += graphOf(operations.front().stream) != nullptr ? 1 : 0;
  }
  lock.lock();
  if (ncaptured != 0 && ncaptured != done.communicators.size()) violate(all, "a part of a group is captured");
}

NcclResult beginGroup(State& all, std::unique_lock<std::mutex>& lock, Group done) {
  if (done.error != NcclResult::kSuccess) return done.error;
  checkCaptures(all, lock, done);
  for (const Group::Made& one : done.made) {
    all.changed.wait(lock, [&] { return one.meeting->arrived == one.meeting->nranks; });
    *one.handle = one.value;
  }
  NcclResult outcome = done.is_in_progress ? NcclResult::kInProgress : NcclResult::kSuccess;
  for (auto& [comm, operations] : done.communicators) {
    if (!std::exchange(comm->is_connected, true)) ++comm->meeting->connected;
    comm->pending = std::move(operations);
  }
  all.changed.notify_all();
  for (auto& [comm, operations] : done.communicators) {
    if (comm->is_blocking) {
      const Communicator& waiting = *comm;  // Clang 14 captures no structured bindings
      all.changed.wait(lock,
                       [&] { return waiting.meeting->connected == waiting.meeting->nranks || waiting.is_aborted; });
    }
    const NcclResult result = advance(all, lock, *comm, comm);
    if (outcome == NcclResult::kSuccess) outcome = result;
  }
  return outcome;
}

}  // namespace

bool deferToGroupEnd(NcclHandle* handle, NcclHandle made, const std::shared_ptr<Meeting>& meeting) {
  if (group.depth > 0) group.made.push_back({handle, made, meeting});
  return group.depth > 0;
}

bool noteUnfinished() {
  if (group.depth > 0) group.is_in_progress = true;
  return group.depth > 0;
}

NcclResult advance(State& all, std::unique_lock<std::mutex>& lock, Communicator& comm,
                   const std::shared_ptr<Communicator>& shared) {
  if (comm.is_launching) return NcclResult::kInProgress;
  if (comm.pending.empty()) return comm.error;
  if (comm.meeting->connected < comm.meeting->nranks) return NcclResult::kInProgress;
  comm.is_launching = true;
  try {
    const NcclResult result = launch(all, lock, shared, std::exchange(comm.pending, {}));
    comm.is_launching = false;
    return result;
  } catch (const Refusal&) {
    comm.is_launching = false;
    throw;
  }
}

}  // namespace fake_nccl

namespace signccl {

using fake_nccl::call;
using fake_nccl::group;
using fake_nccl::noteCall;
using fake_nccl::OperationKind;
using fake_nccl::State;

namespace {

std::size_t bytesOf(std::size_t count) { return count * sizeof(std::uint64_t); }
const std::byte* bytesAt(const void* memory) { return static_cast<const std::byte*>(memory); }
std::byte* bytesAt(void* memory) { return static_cast<std::byte*>(memory); }

}  // namespace

NcclResult ncclGroupStart() {
  return call([](State& /*all*/, auto& /*lock*/) {
    ++group.depth;
    return NcclResult::kSuccess;
  });
}

NcclResult ncclGroupEnd() {
  if (--group.depth > 0) return NcclResult::kSuccess;
  fake_nccl::Group done = std::exchange(group, {});
  return call([&](State& all, auto& lock) { return fake_nccl::beginGroup(all, lock, std::move(done)); });
}

NcclResult ncclGroupSimulateEnd(void* /*info*/) {
  if (--group.depth <= 0) group = {};
  return NcclResult::kSuccess;
}

NcclResult ncclSend(const void* buffer, std::size_t count, NcclDataType /*type*/, int peer, NcclHandle comm,
                    CudaStream stream) {
  return noteCall(comm, {OperationKind::kSend, bytesAt(buffer), nullptr, bytesOf(count), peer, stream});
}

NcclResult ncclRecv(void* buffer, std::size_t count, NcclDataType /*type*/, int peer, NcclHandle comm,
                    CudaStream stream) {
  return noteCall(comm, {OperationKind::kRecv, nullptr, bytesAt(buffer), bytesOf(count), peer, stream});
}

NcclResult ncclAllGather(const void* part, void* all, std::size_t count, NcclDataType /*type*/, NcclHandle comm,
                         CudaStream stream) {
  return noteCall(comm, {OperationKind::kAllGather, bytesAt(part), bytesAt(all), bytesOf(count), -1, stream});
}

NcclResult ncclAllReduce(const void* send, void* recv, std::size_t count, int type, int op, NcclHandle comm,
                         CudaStream stream) {
  // A call outside of groups is a group of one.
  const bool is_alone = group.depth == 0;
  if (is_alone) ncclGroupStart();
  fake_nccl::Operation operation{OperationKind::kAllReduce, bytesAt(send), bytesAt(recv), 0, -1, stream, type, op};
  operation.bytes = count * fake_nccl::elementBytes(type);
  const NcclResult result = noteCall(comm, operation);
  const NcclResult end = is_alone ? ncclGroupEnd() : NcclResult::kSuccess;
  return result == NcclResult::kSuccess ? end : result;
}

NcclResult ncclAllReduceConfig(const void* send, void* recv, std::size_t count, int type, int op, NcclHandle comm,
                               CudaStream stream, const void* /*config*/) {
  return ncclAllReduce(send, recv, count, type, op, comm, stream);
}

}  // namespace signccl
