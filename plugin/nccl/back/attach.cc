// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/attach.h"

#include <deque>
#include <string>
#include <vector>

#include "nccl/back/gather_buffers.h"

namespace signccl::nccl_preload {
namespace {

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

void attach(const Surroundings& around, std::span<const Candidate> candidates) {
  try {
    std::deque<GatherBuffers> buffers;
    introduce(around, candidates, UniqueIds::kSent, buffers);
    for (const GatherBuffers& one : buffers) compare(one.introductions());
    join(candidates, buffers);
  } catch (const Failure& failure) {
    for (const Candidate& candidate : candidates) candidate.record->fail(failure);
    throw;
  }
}

}  // namespace signccl::nccl_preload
