// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/attach.h"

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "nccl/back/cuda.h"
#include "nccl/back/gather_buffers.h"
#include "nccl/back/introduction.h"
#include "nccl/back/waiting.h"

namespace signccl::nccl_preload {
namespace {

constexpr const char* kHint = "is every rank started with the preload library and with the same SIGNCCL_RULES?";

void expectNcclSuccess(const RealNccl& nccl, Comm comm, Result result, const char* function) {
  if (result == Result::kSuccess || result == Result::kInProgress) return;
  const char* const text = nccl.ncclGetLastError == nullptr ? nullptr : nccl.ncclGetLastError(comm);
  throw Failure(result, std::string(function) + " of NCCL failed with code " +
                            std::to_string(static_cast<int>(result)) + (text == nullptr ? "" : ": ") +
                            (text == nullptr ? "" : text));
}

template <typename Function>
int ask(const RealNccl& nccl, Comm comm, Function function, const char* name) {
  int value = 0;
  expectNcclSuccess(nccl, comm, callReal(function, comm, &value), name);
  return value;
}

/// This rank's place, its memory for the all-gather, and what it has to say in it.
GatherBuffers& prepare(const Surroundings& around, const Candidate& candidate, std::deque<GatherBuffers>& all) {
  const RealNccl& nccl = around.nccl;
  const int rank = ask(nccl, candidate.comm, nccl.ncclCommUserRank, "ncclCommUserRank");
  const int nranks = ask(nccl, candidate.comm, nccl.ncclCommCount, "ncclCommCount");
  const int device = ask(nccl, candidate.comm, nccl.ncclCommCuDevice, "ncclCommCuDevice");
  GatherBuffers& buffers = all.emplace_back(device, rank, nranks);
  Introduction& own = buffers.introductions()[static_cast<std::size_t>(rank)];
  own = {};
  own.digest = around.digest;
  own.name_hash = around.compares_names ? hashOf(candidate.record->name) : 0;
  if (rank == 0) expectSigncclSuccess(signcclGetUniqueId(&own.id), "signcclGetUniqueId");
  return buffers;
}

/// One all-gather for each candidate, in one group, since one thread may have several of their ranks.
void gather(const Surroundings& around, std::span<const Candidate> candidates, std::deque<GatherBuffers>& buffers) {
  const RealNccl& nccl = around.nccl;
  for (std::size_t i = 0; i < candidates.size(); ++i) buffers[i].upload(candidates[i].stream);
  expectNcclSuccess(nccl, nullptr, callReal(nccl.ncclGroupStart), "ncclGroupStart");
  Result outcome = Result::kSuccess;
  for (std::size_t i = 0; i < candidates.size() && outcome == Result::kSuccess; ++i) {
    outcome = callReal(nccl.ncclAllGather, buffers[i].part(), buffers[i].all(), buffers[i].words(), DataType::kUint64,
                       candidates[i].comm, candidates[i].stream);
    if (outcome == Result::kInProgress) outcome = Result::kSuccess;
  }
  const Result end = callReal(nccl.ncclGroupEnd);  // in any case
  expectNcclSuccess(nccl, candidates.front().comm, outcome, "ncclAllGather");
  expectNcclSuccess(nccl, candidates.front().comm, end, "ncclGroupEnd");
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    awaitIdle(nccl, candidates[i]);
    buffers[i].download(candidates[i].stream);
  }
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Wait wait{*candidates[i].record, &around.log, "the introductions of the other ranks", kHint};
    waitUntil(wait, [&] {
      const CudaResult result = cuda().cuStreamQuery(candidates[i].stream);
      if (result != kCudaNotReady) expectCudaSuccess(result, "cuStreamQuery");
      return result == kCudaSuccess;
    });
    buffers[i].setIdle();
  }
}

void join(std::span<const Candidate> candidates, std::deque<GatherBuffers>& buffers) {
  std::vector<signcclComm_t> comms(candidates.size(), nullptr);
  expectSigncclSuccess(signcclGroupStart(), "signcclGroupStart");
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
    const std::string& name = candidates[i].record->name;
    config.commName = name.empty() ? nullptr : name.c_str();
    // An error comes again at the end.
    (void)signcclCommInitRankConfig(&comms[i], buffers[i].nranks(), buffers[i].introductions().front().id,
                                    buffers[i].rank(), &config);
  }
  const signcclResult_t result = signcclGroupEnd();
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (comms[i] == nullptr) continue;
    candidates[i].record->nranks = buffers[i].nranks();
    candidates[i].record->setMirror(std::make_shared<Mirror>(comms[i], buffers[i].rank(), buffers[i].nranks()));
  }
  expectSigncclSuccess(result, "a communicator of SignCCL cannot be made");
}

}  // namespace

void awaitIdle(const RealNccl& nccl, const Candidate& candidate) {
  const Wait wait{*candidate.record, nullptr, "a communicator of NCCL that does not block", kHint};
  waitUntil(wait, [&] {
    Result state = Result::kSuccess;
    expectNcclSuccess(nccl, candidate.comm, callReal(nccl.ncclCommGetAsyncError, candidate.comm, &state),
                      "ncclCommGetAsyncError");
    expectNcclSuccess(nccl, candidate.comm, state, "a call");
    return state == Result::kSuccess;
  });
}

void attach(const Surroundings& around, std::span<const Candidate> candidates) {
  try {
    std::deque<GatherBuffers> buffers;
    for (const Candidate& candidate : candidates) {
      awaitIdle(around.nccl, candidate);
      prepare(around, candidate, buffers);
    }
    gather(around, candidates, buffers);
    for (const GatherBuffers& one : buffers) compare(one.introductions());
    join(candidates, buffers);
  } catch (const Failure& failure) {
    for (const Candidate& candidate : candidates) candidate.record->fail(failure);
    throw;
  }
}

}  // namespace signccl::nccl_preload
