// The collectives, requests and groups of the C API.
#include "api/arguments.h"
#include "api/group_scope.h"
#include "api/guard.h"
#include "api/handles.h"

namespace signccl {
namespace {

void runBlocking(const CollectiveArguments& arguments, signcclComm_t handle) {
  CommPointer comm = findComm(handle);
  const CheckedCollective checked = checkCollective(arguments, comm->comm->nranks());
  GroupScope& group = GroupScope::current();
  if (group.isOpen()) {
    group.note(std::move(comm), checked, nullptr);
    return;
  }
  Operation& operation = comm->comm->submit(checked.rules, {&checked.segment, 1}, /*in_background=*/false, 1);
  comm->comm->wait(operation);
}

void runInBackground(const CollectiveArguments& arguments, signcclComm_t handle, signcclRequest_t* request) {
  CommPointer comm = findComm(handle);
  require(request != nullptr, "request is NULL");
  const CheckedCollective checked = checkCollective(arguments, comm->comm->nranks());
  GroupScope& group = GroupScope::current();
  if (group.isOpen()) {
    group.note(std::move(comm), checked, request);
    return;
  }
  Operation& operation = comm->comm->submit(checked.rules, {&checked.segment, 1}, /*in_background=*/true, 1);
  *request = requestHandles().insert({std::move(comm), &operation, std::nullopt});
}

/// The state of a request that the user asks for. Throws signcclInvalidArgument or signcclInvalidUsage if it is none,
/// or if it waits for the end of its group.
PendingRequest findRequest(const signcclRequest_t* request) {
  require(request != nullptr && *request != nullptr, "request is NULL");
  std::optional<PendingRequest> pending = requestHandles().find(*request);
  if (!pending) throw Error(signcclInvalidUsage, "invalid request handle: already completed or never created");
  if (pending->operation == nullptr && !pending->failure) {
    throw Error(signcclInvalidUsage, "request belongs to a group that has not ended: call signcclGroupEnd() first");
  }
  return *std::move(pending);
}

void forget(signcclRequest_t* request) {
  requestHandles().take(*request);
  *request = nullptr;
}

void throwFailure(const PendingRequest& pending) {
  if (pending.failure) throw Error(pending.failure->code, pending.failure->message);
}

}  // namespace
}  // namespace signccl

using namespace signccl;

signcclResult_t signcclAllReduceVote(const void* sendbuff, void* recvbuff, size_t count, signcclDataType_t sendtype,
                                     signcclDataType_t recvtype, const signcclSignConfig_t* config, signcclComm_t comm,
                                     signcclStream_t stream) {
  return guard(
      comm, [&] { runBlocking({SignOp::kVote, sendbuff, recvbuff, count, sendtype, recvtype, config, stream}, comm); });
}

signcclResult_t signcclAllReduceAvg(const void* sendbuff, void* recvbuff, size_t count, signcclDataType_t sendtype,
                                    signcclDataType_t recvtype, const signcclSignConfig_t* config, signcclComm_t comm,
                                    signcclStream_t stream) {
  return guard(
      comm, [&] { runBlocking({SignOp::kAvg, sendbuff, recvbuff, count, sendtype, recvtype, config, stream}, comm); });
}

signcclResult_t signcclAllReduceVoteAsync(const void* sendbuff, void* recvbuff, size_t count,
                                          signcclDataType_t sendtype, signcclDataType_t recvtype,
                                          const signcclSignConfig_t* config, signcclComm_t comm, signcclStream_t stream,
                                          signcclRequest_t* request) {
  return guard(comm, [&] {
    runInBackground({SignOp::kVote, sendbuff, recvbuff, count, sendtype, recvtype, config, stream}, comm, request);
  });
}

signcclResult_t signcclAllReduceAvgAsync(const void* sendbuff, void* recvbuff, size_t count, signcclDataType_t sendtype,
                                         signcclDataType_t recvtype, const signcclSignConfig_t* config,
                                         signcclComm_t comm, signcclStream_t stream, signcclRequest_t* request) {
  return guard(comm, [&] {
    runInBackground({SignOp::kAvg, sendbuff, recvbuff, count, sendtype, recvtype, config, stream}, comm, request);
  });
}

signcclResult_t signcclRequestTest(signcclRequest_t* request, int* done) {
  return guard(nullptr, [&] {
    require(done != nullptr, "done is NULL");
    const PendingRequest pending = findRequest(request);
    *done = pending.operation == nullptr || pending.operation->done.load(std::memory_order_acquire) ? 1 : 0;
    if (*done == 0) return;
    forget(request);
    throwFailure(pending);
    pending.comm->comm->wait(*pending.operation);
  });
}

signcclResult_t signcclRequestWait(signcclRequest_t* request) {
  return guard(nullptr, [&] {
    const PendingRequest pending = findRequest(request);
    forget(request);
    throwFailure(pending);
    pending.comm->comm->wait(*pending.operation);
  });
}

signcclResult_t signcclGroupStart() {
  return guard(nullptr, [] { GroupScope::current().start(); });
}

signcclResult_t signcclGroupEnd() {
  return guard(nullptr, [] { GroupScope::current().end(); });
}
