// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_counting.h"

#include "exec/pieces.h"
#include "kernels/lanes/group.h"
#include "kernels/random_ties.h"
#include "nccl/nccl_layout.h"

namespace signccl {
namespace {

/// Warps that are of use: each lane takes a word.
std::size_t warpsFor(std::size_t nwords) { return (nwords + lanes::kLanes - 1) / lanes::kLanes; }

void enqueueCounts(const StreamDevice& device, ConstPlanes votes, Planes counts, std::size_t nwords,
                   CudaStream stream) {
  const CountArguments arguments{{votes, nullptr}, nwords, counts};
  device.launch(countKernel(votes.nplanes, counts.nplanes), arguments, warpsFor(nwords), stream);
}

/// Decides words [word, word + nwords) of the range.
void enqueueDecision(const StreamDevice& device, const NcclCount& count, WordRange words, TieBits ties,
                     CudaStream stream) {
  const CountRules& rules = count.batch.rules;
  const auto total = static_cast<std::uint64_t>(rules.totalVotes());
  Word* const positive = count.results.words + words.begin;
  const Decision decision{total / 2 + 1,
                          total % 2 == 0,
                          ties,
                          positive,
                          rules.ternary_result ? positive + count.results.stride : nullptr,
                          ties.is_random ? count.replay : nullptr};
  if (count.counts != nullptr) {
    const ConstPlanes counts{count.counts + words.begin, count.words.size, fullPlanes(rules)};
    device.launch(DeviceKernel::decide, DecideArguments{counts, decision, words.size}, warpsFor(words.size), stream);
  } else {
    const ConstPlanes votes{count.votes.words + words.begin, count.votes.stride, count.votes.nplanes};
    const CountDecideArguments arguments{{votes, nullptr}, words.size, decision};
    device.launch(countDecideKernel(votes.nplanes), arguments, warpsFor(words.size), stream);
  }
}

}  // namespace

void enqueueCount(const StreamDevice& device, const NcclCount& count, CudaStream stream) {
  const CountRules& rules = count.batch.rules;
  if (rules.op == SignOp::kAvg) return enqueueCounts(device, count.votes, count.results, count.words.size, stream);
  if (count.counts != nullptr) {
    enqueueCounts(device, count.votes, {count.counts, count.words.size, fullPlanes(rules)}, count.words.size, stream);
  }
  const WordRange all{0, count.words.size};
  switch (count.batch.tie) {
    case TieRule::kZero:
    case TieRule::kNegative:
      return enqueueDecision(device, count, all, sameTies(0), stream);
    case TieRule::kPositive:
      return enqueueDecision(device, count, all, sameTies(~Word{0}), stream);
    case TieRule::kRandom:
      break;
  }
  forEachPiece(count.batch, count.words.begin, count.words.size, [&](const Piece& piece) {
    TieBits ties = randomTies(piece.segment.call, piece.segment.first_word + piece.element / kWordBits);
    if (count.replay != nullptr) ties.word_or_key = piece.segment.call;  // see Decision::replay
    enqueueDecision(device, count, {piece.word, wordsFor(piece.count)}, ties, stream);
  });
}

/// It is a vote that one bit of all wins.
void enqueueAny(const StreamDevice& device, const NcclAny& any, CudaStream stream) {
  const Decision decision{1, false, sameTies(0), any.any, nullptr};
  if (any.words.nplanes <= static_cast<int>(kMostDecidedInputs)) {
    const CountDecideArguments arguments{{any.words, nullptr}, 1, decision};
    return device.launch(countDecideKernel(any.words.nplanes), arguments, 1, stream);
  }
  const Planes counts{any.counts, 1, planesFor(static_cast<std::uint64_t>(any.words.nplanes))};
  enqueueCounts(device, any.words, counts, 1, stream);
  device.launch(DeviceKernel::decide, DecideArguments{{counts.words, 1, counts.nplanes}, decision, 1}, 1, stream);
}

void enqueueRestoreTop(const StreamDevice& device, ConstPlanes signs, Planes results, std::size_t nwords,
                       CudaStream stream) {
  const int low_planes = results.nplanes - 1;
  Word* const top = results.words + static_cast<std::size_t>(low_planes) * results.stride;
  const bool is_ternary = signs.nplanes == 2;
  const RestoreTopArguments arguments{{results.words, results.stride, low_planes},
                                      is_ternary ? signs.words : nullptr,
                                      signs.words + (is_ternary ? signs.stride : 0),
                                      nwords,
                                      top};
  device.launch(DeviceKernel::restore_top, arguments, warpsFor(nwords), stream);
}

}  // namespace signccl
