// SPDX-License-Identifier: Apache-2.0
#include "rules/parse.h"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <utility>

#include "rules/carry.h"
#include "rules/errors.h"
#include "rules/json_text.h"

namespace signccl::rules {
namespace {

constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kLongestName = 100;
constexpr std::size_t kMostRules = 1000;

using Problems = std::vector<std::string>;

/// A value of the file and its JSON pointer. Its functions note what is wrong and go on.
class Node {
 public:
  Node(const Json& json, std::string place, Problems& problems)
      : json_(json), place_(std::move(place)), problems_(problems) {}

  void reject(const std::string& expected) const { problems_.push_back(problemAt(place_, json_, expected)); }

  /// Whether it is an object, whose members are among `known`. All that is not is noted.
  [[nodiscard]] bool isObjectOf(std::initializer_list<std::string_view> known) const {
    std::string names;
    for (const std::string_view name : known) names += (names.empty() ? "" : ", ") + std::string(name);
    if (!json_.is_object()) {
      reject("an object with keys among " + names);
      return false;
    }
    for (const auto& [key, value] : json_.items()) {
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        problems_.push_back(problemAt(memberPlace(place_, key), value, "no such key; known keys are " + names));
      }
    }
    return true;
  }

  [[nodiscard]] std::optional<Node> member(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) return std::nullopt;
    return Node(*found, memberPlace(place_, key), problems_);
  }

  /// As member(), and notes if it is missing.
  [[nodiscard]] std::optional<Node> required(const char* key, const std::string& expected) const {
    std::optional<Node> found = member(key);
    if (!found) problems_.push_back(memberPlace(place_, key) + ": is missing; expected " + expected);
    return found;
  }

  /// The items of a list that is not empty; nothing, and noted, if it is no such list.
  [[nodiscard]] std::vector<Node> items(const std::string& expected) const {
    std::vector<Node> all;
    if (!json_.is_array() || json_.empty()) {
      reject(expected);
      return all;
    }
    for (std::size_t i = 0; i < json_.size(); ++i) {
      all.emplace_back(json_[i], memberPlace(place_, std::to_string(i)), problems_);
    }
    return all;
  }

  [[nodiscard]] std::optional<std::uint64_t> integer(std::uint64_t min, std::uint64_t max) const {
    if (json_.is_number_unsigned()) {
      const auto value = json_.get<std::uint64_t>();
      if (min <= value && value <= max) return value;
    }
    reject("a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    return std::nullopt;
  }

  [[nodiscard]] std::optional<bool> boolean() const {
    if (json_.is_boolean()) return json_.get<bool>();
    reject("true or false");
    return std::nullopt;
  }

  /// A text of 1 to `longest` bytes without control characters.
  [[nodiscard]] std::optional<std::string> text(std::size_t longest) const {
    if (json_.is_string()) {
      const auto& value = json_.get_ref<const std::string&>();
      const bool is_plain = std::ranges::none_of(value, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
      if (!value.empty() && value.size() <= longest && is_plain) return value;
    }
    reject("a text of 1 to " + std::to_string(longest) + " bytes without control characters");
    return std::nullopt;
  }

  template <typename Enum>
  [[nodiscard]] std::optional<Enum> choice() const {
    const auto names = namesOf(Enum{});
    std::string expected;
    for (const std::string_view name : names) expected += (expected.empty() ? "one of " : ", ") + std::string(name);
    if (json_.is_string()) {
      const auto found = std::ranges::find(names, json_.get_ref<const std::string&>());
      if (found != names.end()) return static_cast<Enum>(found - names.begin());
    }
    reject(expected);
    return std::nullopt;
  }

  /// One name, or a list of names.
  template <typename Enum>
  [[nodiscard]] std::optional<SetOf<Enum>> choices() const {
    SetOf<Enum> set;
    if (!json_.is_array()) {
      const std::optional<Enum> one = choice<Enum>();
      if (!one) return std::nullopt;
      set.insert(*one);
      return set;
    }
    const std::vector<Node> names = items("a name, or a list of names that is not empty");
    bool is_good = !names.empty();
    for (const Node& name : names) {
      const std::optional<Enum> one = name.choice<Enum>();
      if (one && set.contains(*one)) name.reject("each name once");
      if (one) set.insert(*one);
      is_good = is_good && one;
    }
    return is_good ? std::optional(set) : std::nullopt;
  }

 private:
  const Json& json_;
  std::string place_;
  Problems& problems_;
};

/// What a rule says of a range.
struct GivenRange {
  std::optional<std::uint64_t> min;
  std::optional<std::uint64_t> max;
};

GivenRange parseRange(const Node& node, std::uint64_t most) {
  GivenRange range;
  if (!node.isObjectOf({"min", "max"})) return range;
  const std::optional<Node> min = node.member("min");
  const std::optional<Node> max = node.member("max");
  if (!min && !max) node.reject("min, max or both");
  if (min) range.min = min->integer(1, most);
  if (max) range.max = max->integer(1, most);
  if (range.min && range.max && *range.min > *range.max) {
    max->reject("min, which is " + std::to_string(*range.min) + ", or more");
  }
  return range;
}

/// Rules that take calls have a smallest count, unless they say one or take what the program has marked.
void applyDefaultMinCount(const Node& match, const GivenRange& given, Rule& rule) {
  if (rule.action == Action::kForward || given.min || rule.match.marked == true) return;
  if (given.max && *given.max < kDefaultMinCount) {
    match.member("count")->reject("a min as well: without one it is " + std::to_string(kDefaultMinCount) +
                                  ", which is more than max");
  }
  rule.match.count.min = kDefaultMinCount;
}

void parseMatch(const Node& node, Rule& rule) {
  if (!node.isObjectOf({"comm", "count", "marked", "op", "ranks", "type"})) return;
  Match& match = rule.match;
  if (const auto type = node.member("type")) match.types = type->choices<ElementType>().value_or(match.types);
  if (const auto op = node.member("op")) match.ops = op->choices<ReduceOp>().value_or(match.ops);
  if (const auto comm = node.member("comm")) match.comm = comm->text(kLongestName);
  if (const auto marked = node.member("marked")) match.marked = marked->boolean();
  if (const auto ranks = node.member("ranks")) {
    const GivenRange given = parseRange(*ranks, kMostRanks);
    match.ranks = {given.min.value_or(match.ranks.min), given.max.value_or(match.ranks.max)};
  }
  GivenRange count;
  if (const auto member = node.member("count")) {
    count = parseRange(*member, kMostCount);
    match.count = {count.min.value_or(match.count.min), count.max.value_or(match.count.max)};
  }
  applyDefaultMinCount(node, count, rule);
}

bool hasZero(Action action) { return action != Action::kForward; }

void parseOptions(const Node& node, Rule& rule) {
  if (!node.isObjectOf({"lossy", "tie", "trust", "zero"})) return;
  const Action action = rule.action;
  Options& options = rule.options;
  const auto needs = [&](const Node& option, bool fits, const char* actions) {
    if (!fits) option.reject("no such option here: it is one of " + std::string(actions));
  };
  if (const auto lossy = node.member("lossy")) {
    options.lossy = lossy->boolean().value_or(false);
    if (options.lossy) needs(*lossy, action == Action::kVote || action == Action::kAvg, "vote and avg");
  }
  if (const auto tie = node.member("tie")) {
    options.tie = tie->choice<TieRule>().value_or(options.tie);
    needs(*tie, action == Action::kVote, "vote");
  }
  if (const auto trust = node.member("trust")) {
    options.trust = trust->boolean().value_or(false);
    needs(*trust, action == Action::kSignSum, "sign_sum");
  }
  if (const auto zero = node.member("zero")) {
    options.zero = zero->choice<ZeroRule>();
    needs(*zero, hasZero(action), "sign_sum, vote and avg");
  }
}

/// `index` of the rule among all.
Rule parseRule(const Node& node, std::size_t index, Problems& problems) {
  Rule rule;
  rule.name = "rule " + std::to_string(index);
  if (!node.isObjectOf({"action", "match", "name", "options"})) return rule;
  if (const auto name = node.member("name")) rule.name = name->text(kLongestName).value_or(rule.name);
  const auto action_node = node.required("action", "one of forward, sign_sum, vote, avg");
  const auto action = action_node ? action_node->choice<Action>() : std::nullopt;
  rule.action = action.value_or(Action::kForward);
  const std::size_t before = problems.size();
  if (const auto match = node.required("match", "an object; {} matches every call of a type and op that rules know")) {
    parseMatch(*match, rule);
  } else {
    return rule;
  }
  if (const auto options = node.member("options"); options && action) parseOptions(*options, rule);
  const bool is_lossy = rule.action == Action::kVote || rule.action == Action::kAvg;
  if (is_lossy && !rule.options.lossy) {
    problems.push_back("/rules/" + std::to_string(index) + "/options/lossy: is not true; expected true, since " +
                       std::string(nameOf(rule.action)) + " gives another result than the program asked for");
  }
  if (action && problems.size() == before) {
    const NeverCarried never = whyNeverCarried(rule);
    if (!never.expected.empty()) {
      problems.push_back("/rules/" + std::to_string(index) + never.place +
                         ": no call that matches can be taken; expected " + never.expected);
    }
  }
  return rule;
}

void requireOwnNames(const std::vector<Rule>& rules, Problems& problems) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (rules[i].name != rules[j].name) continue;
      problems.push_back(problemAt("/rules/" + std::to_string(i) + "/name", rules[i].name,
                                   "a name of its own; /rules/" + std::to_string(j) + " has it"));
      break;
    }
  }
}

std::vector<Rule> parseDocument(const Json& json, Problems& problems) {
  std::vector<Rule> rules;
  const Node document(json, "", problems);
  if (!document.isObjectOf({"rules", "version"})) return rules;
  if (const auto version = document.required("version", "1"); version && json["version"] != kVersion) {
    version->reject("1, the one that this version of SignCCL reads");
    return rules;
  }
  const auto list = document.required("rules", "a list of rules");
  if (!list) return rules;
  const std::vector<Node> items = list->items("a list of rules that is not empty");
  if (items.size() > kMostRules) {
    problems.push_back("/rules: " + std::to_string(items.size()) + " rules; expected at most " +
                       std::to_string(kMostRules));
    return rules;
  }
  for (std::size_t i = 0; i < items.size(); ++i) rules.push_back(parseRule(items[i], i, problems));
  requireOwnNames(rules, problems);
  return rules;
}

}  // namespace

std::vector<Rule> parseRules(std::string_view text, const std::string& origin) {
  Problems problems;
  const Json json = parseJson(text, problems);
  std::vector<Rule> rules;
  if (problems.empty()) rules = parseDocument(json, problems);
  if (!problems.empty()) throw RulesError(origin, std::move(problems));
  return rules;
}

}  // namespace signccl::rules
