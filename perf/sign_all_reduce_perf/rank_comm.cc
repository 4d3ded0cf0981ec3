// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/rank_comm.h"

#include <thread>

namespace signccl::perf {
namespace {

const char* callName(SignOp op, CallForm form) {
  if (op == SignOp::kSum) return "signcclAllReduceSum";
  if (op == SignOp::kVote) return form == CallForm::kAsync ? "signcclAllReduceVoteAsync" : "signcclAllReduceVote";
  return form == CallForm::kAsync ? "signcclAllReduceAvgAsync" : "signcclAllReduceAvg";
}

}  // namespace

void checkResult(signcclResult_t result, const char* call, signcclComm_t comm) {
  if (result == signcclSuccess) return;
  std::string details = signcclGetLastError(comm);
  if (details.empty()) details = signcclGetLastError(nullptr);
  throw CallFailed(std::string(call) + " failed: " + (details.empty() ? signcclGetErrorString(result) : details));
}

RankComm::RankComm(const Options& options, const signcclUniqueId& id, int rank, const RankGpu* gpu)
    : form_(options.form), gpu_(gpu) {
  rules_.zeroRule = options.zero_rule;
  rules_.tieRule = options.tie_rule;
  rules_.misfitRule = options.misfit_rule;
  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  if (options.kernel_threads > 0) config.nThreads = options.kernel_threads;
  if (!options.algorithm.empty()) config.algorithm = options.algorithm.c_str();
  config.commName = "sign_all_reduce_perf";
  checkResult(signcclCommInitRankConfig(&comm_, options.nranks, id, rank, &config), "signcclCommInitRankConfig",
              nullptr);
}

RankComm::~RankComm() {
  // Requests are left here only after a failure, which was reported already.
  for (signcclRequest_t& request : requests_) {
    if (request != nullptr) signcclRequestWait(&request);
  }
  signcclCommDestroy(comm_);
}

void RankComm::issue(const Case& c, std::span<const CallBuffers> calls, std::size_t max_in_flight) {
  while (!requests_.empty() && requests_.size() + calls.size() > max_in_flight) waitForOldest();
  if (calls.size() == 1) {
    checkResult(issueOne(c, calls[0]), callName(c.op, form_), comm_);
    return;
  }
  checkResult(signcclGroupStart(), "signcclGroupStart", comm_);
  signcclResult_t first_error = signcclSuccess;
  for (const CallBuffers& call : calls) {
    const signcclResult_t result = issueOne(c, call);
    if (first_error == signcclSuccess) first_error = result;
  }
  const signcclResult_t end = signcclGroupEnd();
  checkResult(first_error, callName(c.op, form_), comm_);
  checkResult(end, "signcclGroupEnd", comm_);
}

signcclResult_t RankComm::issueOne(const Case& c, const CallBuffers& call) {
  ++sequence_;
  if (c.op == SignOp::kSum) {
    return signcclAllReduceSum(call.send, call.recv, c.count, c.sendtype, &rules_, comm_, nullptr, nullptr);
  }
  const bool is_vote = c.op == SignOp::kVote;
  if (form_ == CallForm::kBlocking) {
    const auto all_reduce = is_vote ? signcclAllReduceVote : signcclAllReduceAvg;
    return all_reduce(call.send, call.recv, c.count, c.sendtype, c.recvtype, &rules_, comm_,
                      gpu_ == nullptr ? nullptr : gpu_->stream());
  }
  const auto all_reduce = is_vote ? signcclAllReduceVoteAsync : signcclAllReduceAvgAsync;
  // In a group the request is written by signcclGroupEnd(); a deque does not move it until then.
  signcclRequest_t& request = requests_.emplace_back(nullptr);
  return all_reduce(call.send, call.recv, c.count, c.sendtype, c.recvtype, &rules_, comm_, nullptr, &request);
}

void RankComm::waitForOldest() {
  signcclRequest_t request = requests_.front();
  requests_.pop_front();
  checkResult(signcclRequestWait(&request), "signcclRequestWait", comm_);
}

void RankComm::wait() {
  while (!requests_.empty()) waitForOldest();
  if (gpu_ != nullptr) waitForStream();
}

/// A stream goes on when its call has failed, too. It may do so shortly before the communicator knows that the call is
/// complete.
void RankComm::waitForStream() {
  gpu_->synchronize();
  signcclResult_t state = signcclSuccess;
  checkResult(signcclCommGetAsyncError(comm_, &state), "signcclCommGetAsyncError", comm_);
  while (state == signcclInProgress) {
    std::this_thread::yield();
    checkResult(signcclCommGetAsyncError(comm_, &state), "signcclCommGetAsyncError", comm_);
  }
  checkResult(state, "a call on the stream", comm_);
}

void RankComm::awaitCount(std::uint64_t ncalls) {
  while (stats().collectives < ncalls) {
    std::this_thread::yield();
    waitForStream();  // throws after a failure
  }
}

void RankComm::meet() {
  ++sequence_;
  std::uint64_t bits = 0;
  checkResult(signcclAllReduceVote(&bits, &bits, 64, signcclBits, signcclBits, nullptr, comm_, nullptr),
              "signcclAllReduceVote", comm_);
}

void RankComm::finalize() { checkResult(signcclCommFinalize(comm_), "signcclCommFinalize", comm_); }

void RankComm::abort() noexcept { signcclCommAbort(comm_); }

signcclCommStats_t RankComm::stats() const {
  signcclCommStats_t stats = {};
  stats.size = sizeof(stats);
  checkResult(signcclCommGetStats(comm_, &stats), "signcclCommGetStats", comm_);
  return stats;
}

}  // namespace signccl::perf
