// SPDX-License-Identifier: Apache-2.0
#include "schedule/traffic.h"

#include "kernels/word.h"
#include "schedule/chunk.h"

namespace signccl {

Traffic trafficOf(const Schedule& schedule, const Topology& topology, const CountRules& rules, std::size_t count) {
  const std::size_t nwords = wordsFor(count);
  Traffic traffic;
  for (const Step& step : schedule.steps) {
    ++traffic.steps;
    if (step.kind != StepKind::kSend && step.kind != StepKind::kRecv) continue;
    const std::size_t words = chunkRange(nwords, schedule.nchunks, ChunkRun{step.chunk, step.nchunks}).size;
    const std::uint64_t bytes = words * sizeof(Word) * static_cast<std::uint64_t>(messagePlanes(rules, step.votes));
    if (step.kind == StepKind::kRecv) {
      traffic.bytes_received += bytes;
      continue;
    }
    ++traffic.messages_sent;
    traffic.bytes_sent += bytes;
    if (topology.nodeOf(step.peer) != topology.nodeOf(schedule.rank)) traffic.remote_bytes_sent += bytes;
  }
  return traffic;
}

}  // namespace signccl
