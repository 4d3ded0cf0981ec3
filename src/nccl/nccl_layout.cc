// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_layout.h"

#include <algorithm>

#include "exec/external_ends.h"

namespace signccl {
namespace {

/// Chunks that are smaller are not worth a second phase: the latency of a message is then most of its time. Not
/// measured.
constexpr std::size_t kLeastChunkBytes = std::size_t{64} << 10;
/// What a one-shot exchange gathers, beyond which its traffic outweighs a second phase with many ranks. Not measured.
constexpr std::size_t kMostGatheredBytes = std::size_t{4} << 20;
/// Bounds the memory for the votes of others. Smaller slices overlap better, and have more messages, whose latency is
/// not hidden. Not measured.
constexpr std::size_t kDefaultSliceBytes = std::size_t{8} << 20;
/// Slices whose results may wait to be decoded: a stream encodes all slices before it decodes the first one, and
/// messages must not wait for that. Not measured.
constexpr std::size_t kMostResults = 8;
/// Parts of the memory begin at lines of the device's cache.
constexpr std::size_t kLineWords = 16;

std::size_t upTo(std::size_t number, std::size_t unit) { return (number + unit - 1) / unit * unit; }

NcclSchedule chooseSchedule(const CountRules& rules, std::size_t nwords, const std::optional<Algorithm>& algorithm) {
  if (rules.nranks == 1) return NcclSchedule::kAlone;
  if (algorithm) return *algorithm == Algorithm::kOneShot ? NcclSchedule::kOneShot : NcclSchedule::kTwoPhases;
  const std::size_t bytes = nwords * sizeof(Word);
  const auto nranks = static_cast<std::size_t>(rules.nranks);
  const bool is_small = bytes / nranks < kLeastChunkBytes && bytes * nranks <= kMostGatheredBytes;
  return rules.nranks == 2 || is_small ? NcclSchedule::kOneShot : NcclSchedule::kTwoPhases;
}

}  // namespace

NcclLayout::NcclLayout(const CountRules& rules, std::size_t nwords, const Options& options)
    : rules_(rules), nwords_(nwords), schedule_(chooseSchedule(rules, nwords, options.algorithm)) {
  const std::size_t unit = schedule_ == NcclSchedule::kTwoPhases ? nranks() : 1;
  const std::size_t most = (options.slice_bytes == 0 ? kDefaultSliceBytes : options.slice_bytes) / sizeof(Word);
  slice_words_ = std::min(upTo(most, unit), upTo(nwords, unit));
  nslices_ = nwords == 0 ? 0 : (nwords + slice_words_ - 1) / slice_words_;
  const auto votes_per_rank = static_cast<std::size_t>(rules.votes_per_rank);
  const auto planes = static_cast<std::size_t>(externalResultPlanes(rules));
  const std::size_t counted = schedule_ == NcclSchedule::kTwoPhases ? slice_words_ / nranks() : slice_words_;
  votes_ = upTo(votes_per_rank * upTo(nwords, unit), kLineWords);
  results_ = votes_ + (schedule_ == NcclSchedule::kAlone ? 0 : upTo(ninputs() * counted, kLineWords));
  results_stride_ = upTo(planes * slice_words_, kLineWords);
  nresults_ = overlaps() ? std::min(nslices_, kMostResults) : 1;
  counts_ = results_ + nresults_ * results_stride_;
  const bool has_counts = rules.op == SignOp::kVote && ninputs() > kMostDecidedInputs;
  vetoes_ = counts_ + (has_counts ? static_cast<std::size_t>(fullPlanes(rules)) * counted : 0);
  replay_ = vetoes_ + nranks() + 1 + static_cast<std::size_t>(planesFor(nranks()));
  end_ = replay_ + 2 + nranks();
}

TransportCounters NcclLayout::messages() const {
  if (schedule_ == NcclSchedule::kAlone) return {};
  const auto votes_per_rank = static_cast<std::uint64_t>(rules_.votes_per_rank);
  std::uint64_t nwords = 0;  // to each peer
  std::uint64_t nmessages = 0;
  for (std::size_t number = 0; number < nslices_; ++number) {
    const WordRange part = slice(number);
    const bool is_one_shot = schedule_ == NcclSchedule::kOneShot;
    const std::uint64_t nplanes = votes_per_rank + (is_one_shot ? 0 : static_cast<std::uint64_t>(gatheredPlanes()));
    nwords += nplanes * countedWords(part);
    nmessages += is_one_shot ? 1 : nplanes;
  }
  const std::uint64_t npeers = nranks() - 1;
  const std::uint64_t bytes = npeers * nwords * sizeof(Word);
  return {bytes, bytes, npeers * nmessages, npeers * nmessages};
}

WordRange NcclLayout::slice(std::size_t number) const {
  const std::size_t begin = number * slice_words_;
  const std::size_t unit = schedule_ == NcclSchedule::kTwoPhases ? nranks() : 1;
  return {begin, std::min(slice_words_, upTo(nwords_ - begin, unit))};
}

}  // namespace signccl
