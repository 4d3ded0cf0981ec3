// SPDX-License-Identifier: Apache-2.0
// How an exchange over NCCL is cut: the slices, the chunks that each rank counts, and where everything lies in the
// memory of the call. A function of values that are the same on all ranks. Sizes and offsets are in words.
#ifndef SIGNCCL_NCCL_NCCL_LAYOUT_H_
#define SIGNCCL_NCCL_NCCL_LAYOUT_H_

#include <cstddef>
#include <optional>

#include "schedule/algorithm.h"
#include "schedule/chunk.h"
#include "schedule/width.h"
#include "transport/transport.h"

namespace signccl {

/// How votes get from rank to rank.
enum class NcclSchedule : std::uint8_t {
  kAlone,      ///< there is no other rank
  kOneShot,    ///< all ranks gather the signs of all and count everything
  kTwoPhases,  ///< each rank counts a chunk, and the results are gathered
};

/// Planes of words lie one after the other, each as long as its slice. With two phases slices are padded to a whole
/// number of words for each rank, beyond the end of the batch in the last one, so that all chunks of a slice are equal.
class NcclLayout {
 public:
  struct Options {
    std::optional<Algorithm> algorithm;  ///< oneshot: one shot; any other: two phases; nothing: by size
    std::size_t slice_bytes = 0;         ///< most bytes of a plane of a slice; 0: the default
  };

  NcclLayout(const CountRules& rules, std::size_t nwords, const Options& options);

  [[nodiscard]] NcclSchedule schedule() const { return schedule_; }
  [[nodiscard]] std::size_t nslices() const { return nslices_; }
  /// Whether messages travel while other slices are encoded and decoded.
  [[nodiscard]] bool overlaps() const { return schedule_ != NcclSchedule::kAlone && nslices_ > 1; }

  /// Words of the batch in a slice, with those of the padding.
  [[nodiscard]] WordRange slice(std::size_t number) const;

  /// Words of a slice that each rank counts: all of them, but for two phases.
  [[nodiscard]] std::size_t countedWords(const WordRange& slice) const {
    return schedule_ == NcclSchedule::kTwoPhases ? slice.size / nranks() : slice.size;
  }

  /// Planes of the votes of all ranks.
  [[nodiscard]] std::size_t ninputs() const { return static_cast<std::size_t>(rules_.totalVotes()); }

  [[nodiscard]] std::size_t signsOffset(const WordRange& slice) const {
    return static_cast<std::size_t>(rules_.votes_per_rank) * slice.begin;
  }
  /// Planes of the votes of all ranks on the counted words, rank after rank.
  [[nodiscard]] std::size_t votesOffset() const { return votes_; }
  /// Buffers for results of slices, which take turns.
  [[nodiscard]] std::size_t nresults() const { return nresults_; }
  [[nodiscard]] std::size_t resultsBuffer(std::size_t slice) const { return nresults_ < 2 ? 0 : slice % nresults_; }
  /// The results of a slice, by its number.
  [[nodiscard]] std::size_t resultsOffset(std::size_t slice) const {
    return results_ + resultsBuffer(slice) * results_stride_;
  }
  /// The counts of a vote with too many inputs for a kernel that decides at once; there are none otherwise.
  [[nodiscard]] std::size_t countsOffset() const { return counts_; }
  /// In a call of a step: a word of each rank, which is not 0 if it vetoes; then a word that is not 0 if one of them
  /// does, and room for counts of vetoes.
  [[nodiscard]] std::size_t vetoesOffset() const { return vetoes_; }
  [[nodiscard]] std::size_t vetoedOffset() const { return vetoes_ + nranks(); }
  [[nodiscard]] std::size_t vetoCountsOffset() const { return vetoes_ + nranks() + 1; }
  /// In a graph: the number of the replay, in the first half of a word; then what this rank is replaying, and what
  /// all ranks are, a word of each.
  [[nodiscard]] std::size_t replayOffset() const { return replay_; }
  [[nodiscard]] std::size_t checkOffset() const { return replay_ + 1; }
  [[nodiscard]] std::size_t checksOffset() const { return replay_ + 2; }
  [[nodiscard]] std::size_t nwords() const { return end_; }

  /// What each rank sends and receives in a call, without vetoes and checks. What is gathered counts as a message to
  /// each peer; which way NCCL takes is its own affair.
  [[nodiscard]] TransportCounters messages() const;

  /// Planes of results that are gathered in the second phase; the last one of an average is then completed.
  [[nodiscard]] int gatheredPlanes() const { return resultPlanes(rules_); }

 private:
  [[nodiscard]] std::size_t nranks() const { return static_cast<std::size_t>(rules_.nranks); }

  CountRules rules_;
  std::size_t nwords_;  ///< of the batch
  NcclSchedule schedule_;
  std::size_t slice_words_ = 0;  ///< of all slices but the last
  std::size_t nslices_ = 0;
  std::size_t votes_ = 0;
  std::size_t results_ = 0;
  std::size_t results_stride_ = 0;
  std::size_t nresults_ = 1;
  std::size_t counts_ = 0;
  std::size_t vetoes_ = 0;
  std::size_t replay_ = 0;
  std::size_t end_ = 0;
};

/// Most inputs of the kernels that count and decide at once.
inline constexpr std::size_t kMostDecidedInputs = 16;

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_LAYOUT_H_
