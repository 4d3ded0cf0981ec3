// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/introduce.h"

#include <string>

#include "nccl/back/cuda.h"
#include "nccl/back/gather_buffers.h"
#include "nccl/back/introduction.h"

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
void prepare(const Surroundings& around, const Candidate& candidate, UniqueIds ids, std::deque<GatherBuffers>& all) {
  const RealNccl& nccl = around.nccl;
  const int rank = ask(nccl, candidate.comm, nccl.ncclCommUserRank, "ncclCommUserRank");
  const int nranks = ask(nccl, candidate.comm, nccl.ncclCommCount, "ncclCommCount");
  GatherBuffers& buffers = all.emplace_back(deviceOf(nccl, candidate.comm), rank, nranks);
  Introduction& own = buffers.introductions()[static_cast<std::size_t>(rank)];
  own = {};
  own.digest = around.digest;
  own.name_hash = around.compares_names ? hashOf(candidate.record->name) : 0;
  own.has_bad_rules = around.has_bad_rules ? 1 : 0;
  if (rank == 0 && ids == UniqueIds::kSent) expectSigncclSuccess(signcclGetUniqueId(&own.id), "signcclGetUniqueId");
}

/// One all-gather for each candidate, in one group, since one thread may have several of their ranks.
void gather(const Surroundings& around, std::span<const Candidate> candidates, std::deque<GatherBuffers>& buffers,
            const Limit& limit) {
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
  // Not asked of the communicator, which may have been aborted meanwhile.
  expectNcclSuccess(nccl, nullptr, outcome, "ncclAllGather");
  expectNcclSuccess(nccl, nullptr, end, "ncclGroupEnd");
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (end == Result::kInProgress) awaitIdle(nccl, candidates[i], limit);
    buffers[i].download(candidates[i].stream);
  }
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Wait wait{*candidates[i].record, &around.log, "the introductions of the other ranks", kHint, limit};
    waitUntil(wait, [&] { return buffers[i].isDone(candidates[i].stream); });
  }
}

}  // namespace

void awaitIdle(const RealNccl& nccl, const Candidate& candidate, const Limit& limit) {
  const Wait wait{*candidate.record, nullptr, "a communicator of NCCL that does not block", kHint, limit};
  waitUntil(wait, [&] {
    Result state = Result::kSuccess;
    expectNcclSuccess(nccl, candidate.comm, callReal(nccl.ncclCommGetAsyncError, candidate.comm, &state),
                      "ncclCommGetAsyncError");
    expectNcclSuccess(nccl, candidate.comm, state, "a call");
    return state == Result::kSuccess;
  });
}

int deviceOf(const RealNccl& nccl, Comm comm) { return ask(nccl, comm, nccl.ncclCommCuDevice, "ncclCommCuDevice"); }

void introduce(const Surroundings& around, std::span<const Candidate> candidates, UniqueIds ids,
               std::deque<GatherBuffers>& buffers, const Limit& limit) {
  for (const Candidate& candidate : candidates) {
    awaitIdle(around.nccl, candidate);
    prepare(around, candidate, ids, buffers);
  }
  gather(around, candidates, buffers, limit);
}

}  // namespace signccl::nccl_preload
