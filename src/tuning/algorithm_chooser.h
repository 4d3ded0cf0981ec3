// SPDX-License-Identifier: Apache-2.0
// Chooses the algorithm of an exchange by its size.
#ifndef SIGNCCL_TUNING_ALGORITHM_CHOOSER_H_
#define SIGNCCL_TUNING_ALGORITHM_CHOOSER_H_

#include <array>
#include <cstddef>
#include <memory>
#include <optional>

#include "schedule/algorithm.h"
#include "schedule/cost.h"
#include "topology/topology.h"
#include "tuning/tuning_table.h"

namespace signccl {

/// What one rank asks. All ranks of a communicator that are made with the same values choose the same algorithms.
class AlgorithmChooser {
 public:
  /// `forced`: the algorithm for everything; nothing: the tuning table chooses, and the cost model if there is no table
  /// or it says nothing of this topology and size. `rank` is named in the log.
  AlgorithmChooser(Rank rank, const Topology& topology, const CostModel& model, std::optional<Algorithm> forced,
                   std::shared_ptr<const TuningTable> tuning = nullptr);

  /// The algorithm for `nwords` words of signs. Recent choices are remembered.
  Algorithm choose(const CountRules& rules, std::size_t nwords);

 private:
  [[nodiscard]] std::optional<Algorithm> measured(SignOp op, std::size_t count) const;

  struct RecentChoice {
    std::size_t nwords = 0;
    CountRules rules;
    Algorithm algorithm = Algorithm::kDirect;
    bool is_set = false;
  };

  const Rank rank_;
  const Topology topology_;
  const CostModel model_;
  const std::optional<Algorithm> forced_;
  const std::shared_ptr<const TuningTable> tuning_;
  std::array<RecentChoice, 64> recent_;  ///< by a hash of size and rules
};

}  // namespace signccl

#endif  // SIGNCCL_TUNING_ALGORITHM_CHOOSER_H_
