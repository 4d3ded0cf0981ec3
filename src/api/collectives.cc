// SPDX-License-Identifier: Apache-2.0
// The collectives, requests and groups of the C API.
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "api/arguments.h"
#include "api/group_scope.h"
#include "api/guard.h"
#include "api/handles.h"
#include "api/stream_sum.h"
#include "base/error.h"
#include "base/failure.h"

namespace signccl {
namespace {

[[noreturn]] void refuseRequest() {
  throw Error(signcclInvalidUsage, "invalid request handle: already completed or never created");
}

CheckedCollective check(const CollectiveArguments& arguments, Communicator& comm) {
  try {
    return checkCollective(arguments, comm.nranks());
  } catch (...) {
    // For what CUDA says of buffers and streams. Asked only now: a call that goes well looks for a driver once.
    if (!isSurelyOnHost(arguments.stream)) failForCuda(comm, std::current_exception());
    throw;
  }
}

/// Enqueues a call on its stream. One that throws before it is queued takes no number.
void enqueue(CommHandle& comm, CheckedCollective& checked) {
  StreamEngine& engine = comm.engineOf(checked.place.device);
  checked.segment.call = comm.comm->nextCallNumber();
  const std::unique_ptr<EngineCall> call =
      engine.enqueueFront(checked.rules, {&checked.segment, 1}, checked.place.stream, nullptr);
  comm.comm->takeCallNumber();
  EngineCall* const calls[] = {call.get()};
  if (const std::exception_ptr error = enqueueBacks(calls).front()) std::rethrow_exception(error);
}

void runBlocking(const CollectiveArguments& arguments, signcclComm_t handle) {
  CommPointer comm = findComm(handle);
  CheckedCollective checked = check(arguments, *comm->comm);
  GroupScope& group = GroupScope::current();
  if (group.isOpen()) {
    group.note(std::move(comm), checked, nullptr);
    return;
  }
  if (checked.place.isOnStream()) return checked.sum ? enqueueSum(*comm, checked) : enqueue(*comm, checked);
  Operation& operation = comm->comm->submitCall(checked.rules, checked.segment, /*in_background=*/false);
  comm->wait(operation, checked.sum);
}

void runInBackground(const CollectiveArguments& arguments, signcclComm_t handle, signcclRequest_t* request) {
  CommPointer comm = findComm(handle);
  require(request != nullptr, "request is NULL");
  CheckedCollective checked = check(arguments, *comm->comm);
  if (checked.place.isOnStream()) {
    throw Error(signcclInvalidArgument,
                "a call with a request is for host buffers: calls on a stream, such as this one on device " +
                    std::to_string(checked.place.device) + ", return at once and have no request");
  }
  GroupScope& group = GroupScope::current();
  if (group.isOpen()) {
    group.note(std::move(comm), checked, request);
    return;
  }
  // The handle comes first: once the work is queued, nothing may fail any more.
  const signcclRequest_t made = requestHandles().insert({comm, nullptr, nullptr, checked.sum});
  try {
    Operation& operation = comm->comm->submitCall(checked.rules, checked.segment, /*in_background=*/true);
    requestHandles().update(made, [&](PendingRequest& pending) { pending.operation = &operation; });
  } catch (...) {
    requestHandles().take(made);
    throw;
  }
  *request = made;
}

/// The state of a request that the user asks for. Throws signcclInvalidArgument or signcclInvalidUsage if it is none,
/// or if it waits for the end of its group.
PendingRequest findRequest(const signcclRequest_t* request) {
  require(request != nullptr && *request != nullptr, "request is NULL");
  auto& handles = requestHandles();
  if (handles.isOfParent(*request)) refuseOfParent("the request", handles.depthOf(*request));
  std::optional<PendingRequest> pending = handles.find(*request);
  if (!pending) refuseRequest();
  if (pending->operation == nullptr && !pending->failure) {
    throw Error(signcclInvalidUsage, "request belongs to a group that has not ended: call signcclGroupEnd() first");
  }
  return *std::move(pending);
}

/// Waits for a request that findRequest() gave. Several threads may wait for copies of one request: the first takes it.
void finishRequest(signcclRequest_t* request) {
  const std::optional<PendingRequest> mine = requestHandles().take(*request);
  if (!mine) refuseRequest();
  *request = nullptr;
  if (mine->failure) std::rethrow_exception(mine->failure);
  mine->comm->wait(*mine->operation, mine->sum);
}

/// finishRequest(), with an error noted at the communicator that it concerns.
void finishNoting(const PendingRequest& pending, signcclRequest_t* request) {
  try {
    finishRequest(request);
  } catch (...) {
    pending.comm->noteError(failureOf(std::current_exception()));
    throw;
  }
}

}  // namespace
}  // namespace signccl

using namespace signccl;

signcclResult_t signcclAllReduceVote(const void* sendbuff, void* recvbuff, size_t count, signcclDataType_t sendtype,
                                     signcclDataType_t recvtype, const signcclSignConfig_t* config, signcclComm_t comm,
                                     signcclStream_t stream) {
  return guardGroupCall(
      comm, [&] { runBlocking({SignOp::kVote, sendbuff, recvbuff, count, sendtype, recvtype, config, stream}, comm); });
}

signcclResult_t signcclAllReduceAvg(const void* sendbuff, void* recvbuff, size_t count, signcclDataType_t sendtype,
                                    signcclDataType_t recvtype, const signcclSignConfig_t* config, signcclComm_t comm,
                                    signcclStream_t stream) {
  return guardGroupCall(
      comm, [&] { runBlocking({SignOp::kAvg, sendbuff, recvbuff, count, sendtype, recvtype, config, stream}, comm); });
}

signcclResult_t signcclAllReduceVoteAsync(const void* sendbuff, void* recvbuff, size_t count,
                                          signcclDataType_t sendtype, signcclDataType_t recvtype,
                                          const signcclSignConfig_t* config, signcclComm_t comm, signcclStream_t stream,
                                          signcclRequest_t* request) {
  return guardGroupCall(comm, [&] {
    runInBackground({SignOp::kVote, sendbuff, recvbuff, count, sendtype, recvtype, config, stream}, comm, request);
  });
}

signcclResult_t signcclAllReduceAvgAsync(const void* sendbuff, void* recvbuff, size_t count, signcclDataType_t sendtype,
                                         signcclDataType_t recvtype, const signcclSignConfig_t* config,
                                         signcclComm_t comm, signcclStream_t stream, signcclRequest_t* request) {
  return guardGroupCall(comm, [&] {
    runInBackground({SignOp::kAvg, sendbuff, recvbuff, count, sendtype, recvtype, config, stream}, comm, request);
  });
}

signcclResult_t signcclAllReduceSum(const void* sendbuff, void* recvbuff, size_t count, signcclDataType_t datatype,
                                    const signcclSignConfig_t* config, signcclComm_t comm, signcclStream_t stream,
                                    signcclSumOutcome_t* outcome) {
  return guardGroupCall(comm, [&] {
    runBlocking({SignOp::kSum, sendbuff, recvbuff, count, datatype, datatype, config, stream, outcome}, comm);
  });
}

signcclResult_t signcclAllReduceSumAsync(const void* sendbuff, void* recvbuff, size_t count, signcclDataType_t datatype,
                                         const signcclSignConfig_t* config, signcclComm_t comm, signcclStream_t stream,
                                         signcclSumOutcome_t* outcome, signcclRequest_t* request) {
  return guardGroupCall(comm, [&] {
    runInBackground({SignOp::kSum, sendbuff, recvbuff, count, datatype, datatype, config, stream, outcome}, comm,
                    request);
  });
}

signcclResult_t signcclRequestTest(signcclRequest_t* request, int* done) {
  return guard(nullptr, [&] {
    require(done != nullptr, "done is NULL");
    const PendingRequest pending = findRequest(request);
    *done = pending.failure || pending.operation->done.load(std::memory_order_acquire) ? 1 : 0;
    if (*done == 1) finishNoting(pending, request);
  });
}

signcclResult_t signcclRequestWait(signcclRequest_t* request) {
  return guard(nullptr, [&] { finishNoting(findRequest(request), request); });
}

signcclResult_t signcclRequestWaitAll(size_t n, signcclRequest_t* requests) {
  return guard(nullptr, [&] {
    require(n == 0 || requests != nullptr, "requests is NULL");
    std::exception_ptr first_error;
    for (std::size_t i = 0; i < n; ++i) {
      if (requests[i] == nullptr) continue;
      try {
        finishNoting(findRequest(&requests[i]), &requests[i]);
      } catch (...) {
        if (!first_error) first_error = std::current_exception();
      }
    }
    if (first_error) std::rethrow_exception(first_error);
  });
}

signcclResult_t signcclRequestWaitFor(signcclRequest_t* request, int timeoutMs, int* done) {
  return guard(nullptr, [&] {
    require(done != nullptr, "done is NULL");
    *done = 0;
    if (timeoutMs < 0) {
      throw Error(signcclInvalidArgument, "timeoutMs is " + std::to_string(timeoutMs) + ", expected >= 0");
    }
    const PendingRequest pending = findRequest(request);
    const bool is_over =
        pending.failure || pending.comm->comm->isDoneWithin(*pending.operation, std::chrono::milliseconds(timeoutMs));
    if (!is_over) return;
    *done = 1;
    finishNoting(pending, request);
  });
}

signcclResult_t signcclGroupStart() {
  return guard(nullptr, [] { GroupScope::current().start(); });
}

signcclResult_t signcclGroupEnd() {
  return guard(nullptr, [] { GroupScope::current().end(); });
}
