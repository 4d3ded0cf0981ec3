// SPDX-License-Identifier: Apache-2.0
// A file that says which algorithm is the fastest, as measured where the job runs.
#ifndef SIGNCCL_TUNING_TUNING_TABLE_H_
#define SIGNCCL_TUNING_TUNING_TABLE_H_

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "base/types.h"
#include "schedule/algorithm.h"
#include "topology/topology.h"

namespace signccl {

/// Immutable, so any thread may use it.
class TuningTable {
 public:
  /// Reads the JSON that `sign_all_reduce_perf --tune` writes; docs/algorithms.md describes it. Throws
  /// signcclInvalidUsage with the file, the place in it, what stands there and what was expected.
  static std::shared_ptr<const TuningTable> read(const std::string& path);

  /// The same from text; `name` is that of the file, for messages.
  static std::shared_ptr<const TuningTable> parse(std::string_view text, const std::string& name);

  /// The algorithm for `count` elements; nothing if the table leaves it to the cost model, or says nothing of such a
  /// group.
  [[nodiscard]] std::optional<Algorithm> choose(SignOp op, const Topology& topology, std::size_t count) const;

  /// The same for tables that say the same, in 16 digits.
  [[nodiscard]] std::string digest() const;

 private:
  using Group = std::tuple<SignOp, int, int>;  ///< ranks and nodes
  /// By the least count that it is for; nothing: the cost model's.
  using Choices = std::map<std::size_t, std::optional<Algorithm>>;
  std::map<Group, Choices> groups_;
};

}  // namespace signccl

#endif  // SIGNCCL_TUNING_TUNING_TABLE_H_
