// SPDX-License-Identifier: Apache-2.0
// The rules that say which allreduces of a program the preload libraries take over. docs/preload.md is the reference of
// the file; it is JSON with comments:
//
//   {"version": 1, "rules": [
//     {"name": "sign tensors", "match": {"type": ["int8", "float32"], "op": "sum"}, "action": "sign_sum"}]}
#ifndef SIGNCCL_PLUGIN_RULES_RULES_H_
#define SIGNCCL_PLUGIN_RULES_RULES_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/types.h"

namespace signccl::rules {

/// Elements that a call must have for a rule that takes calls and says no minimum of its own. Below it programs sum
/// losses, counters and flags, some of which are 0 or 1 by chance.
inline constexpr std::uint64_t kDefaultMinCount = 65536;

inline constexpr std::uint64_t kMostCount = std::numeric_limits<std::int64_t>::max();
inline constexpr std::uint64_t kMostRanks = 32767;

/// What an allreduce of the program looks like.
struct Call {
  std::optional<ElementType> type;  ///< nothing: one that rules cannot name
  std::optional<ReduceOp> op;       ///< nothing: one that rules cannot name
  std::uint64_t count = 0;          ///< elements
  int ranks = 1;
  std::string_view comm_name;  ///< of the communicator; empty: it has none
  bool marked = false;         ///< NCCL alone: the program has marked the call (signccl/nccl_mark.h)
};

/// From `min` to `max`, both included.
struct Range {
  std::uint64_t min = 0;
  std::uint64_t max = std::numeric_limits<std::uint64_t>::max();

  [[nodiscard]] bool contains(std::uint64_t value) const { return min <= value && value <= max; }
  bool operator==(const Range&) const = default;
};

/// What a call must be for a rule. Its defaults match every call of a type and an op that rules can name.
struct Match {
  SetOf<ElementType> types = SetOf<ElementType>::all();
  SetOf<ReduceOp> ops = SetOf<ReduceOp>::all();
  Range count{1, kMostCount};  ///< elements
  Range ranks{1, kMostRanks};
  std::optional<std::string> comm;  ///< glob on the communicator's name: * is any text, ? any one byte
  std::optional<bool> marked;

  [[nodiscard]] bool matches(const Call& call) const;
};

struct Options {
  /// What zeros are. For sign_sum: kBinary, zeros are no signs; kTernary, they are; nothing: the values decide. For
  /// vote and avg nothing means kBinary.
  std::optional<ZeroRule> zero;
  TieRule tie = TieRule::kRandom;  ///< vote alone
  bool lossy = false;              ///< the user agrees that the result is another one; true for vote and avg
  bool trust = false;              ///< sign_sum alone: no fallback; an element that is no sign is an error
};

struct Rule {
  std::string name;
  Match match;
  Action action = Action::kForward;
  Options options;
};

/// The rules of a process: a value, which any thread may read.
class RuleSet {
 public:
  /// No rules: everything is forwarded.
  RuleSet() = default;

  /// Reads the text of a rules file. Throws RulesError with all that is wrong; `origin` stands before each line of it.
  static RuleSet parse(std::string_view text, const std::string& origin);

  /// Reads what SIGNCCL_RULES says: a path, or the text itself if it starts with '{'; no rules if it is empty. Throws
  /// RulesError, which names `source`: the variable, or the option that has the value.
  static RuleSet load(const std::string& value, const std::string& source = "SIGNCCL_RULES");

  /// Index in rules() of the first rule that a call matches; nothing: the call is to be forwarded.
  [[nodiscard]] std::optional<std::size_t> match(const Call& call) const;

  /// No rule that takes calls matches one with fewer elements, so that such calls need no look at the rules. The
  /// largest number if no rule takes calls.
  [[nodiscard]] std::uint64_t smallestCount() const noexcept { return smallest_count_; }

  [[nodiscard]] const std::vector<Rule>& rules() const noexcept { return rules_; }

  /// A number that is the same on two ranks if and, but for chance, only if they treat all calls alike: it depends on
  /// the rules in their order and on the mode, and neither on names of rules nor on how the file is written.
  [[nodiscard]] std::uint64_t digest(Mode mode) const;

 private:
  explicit RuleSet(std::vector<Rule> rules);

  std::vector<Rule> rules_;
  std::uint64_t smallest_count_ = std::numeric_limits<std::uint64_t>::max();
};

/// A rule in one line, as logs show it.
std::string describe(const Rule& rule);

/// Whether `name` is one of those that `pattern` describes, in time of their lengths' product: * is any text, ? any one
/// byte, all else itself.
bool globMatches(std::string_view pattern, std::string_view name);

}  // namespace signccl::rules

#endif  // SIGNCCL_PLUGIN_RULES_RULES_H_
