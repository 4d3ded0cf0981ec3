// SPDX-License-Identifier: Apache-2.0
#include "tuning/tuning_table.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/error.h"
#include "base/joined.h"

namespace signccl {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kFormat = "signccl-tuning";
constexpr std::int64_t kVersion = 1;
constexpr std::string_view kModel = "model";  ///< instead of an algorithm: the cost model chooses
constexpr std::uint64_t kModelInDigest = 0xff;

/// A value of the file and its place, for messages.
class Node {
 public:
  Node(const Json& json, std::string place) : json_(json), place_(std::move(place)) {}

  [[noreturn]] void reject(const std::string& expected) const {
    constexpr std::size_t kLongest = 60;
    std::string found = json_.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (found.size() > kLongest) found = found.substr(0, kLongest) + "...";
    throw Error(signcclInvalidUsage, place_ + " is " + found + ", expected " + expected);
  }

  /// Of an object that has just these members.
  void requireMembers(std::initializer_list<std::string_view> names) const {
    const std::string all = joined(names, ", ");
    if (!json_.is_object()) reject("an object with " + all);
    for (const std::string_view name : names) {
      if (!json_.contains(name)) reject("a member '" + std::string(name) + "'");
    }
    for (const auto& [name, value] : json_.items()) {
      if (std::ranges::find(names, name) == names.end()) member(name).reject("no such member, only " + all);
    }
  }

  [[nodiscard]] Node member(const std::string& name) const { return {json_.at(name), place_ + "." + name}; }

  [[nodiscard]] std::size_t size() const {
    if (!json_.is_array() || json_.empty()) reject("a list that is not empty");
    return json_.size();
  }
  [[nodiscard]] Node at(std::size_t index) const {
    return {json_.at(index), place_ + "[" + std::to_string(index) + "]"};
  }

  [[nodiscard]] std::int64_t integer(std::int64_t min, std::int64_t max) const {
    const bool is_in_range = json_.is_number_integer() &&
                             (!json_.is_number_unsigned() || json_.get<std::uint64_t>() <= INT64_MAX) &&
                             json_.get<std::int64_t>() >= min && json_.get<std::int64_t>() <= max;
    if (!is_in_range) reject("an integer from " + std::to_string(min) + " to " + std::to_string(max));
    return json_.get<std::int64_t>();
  }

  [[nodiscard]] std::string text() const {
    if (!json_.is_string()) reject("a text");
    return json_.get<std::string>();
  }

 private:
  const Json& json_;
  std::string place_;
};

SignOp parseCollective(const Node& node) {
  const std::string name = node.text();
  if (name == "vote") return SignOp::kVote;
  if (name != "avg") node.reject("vote or avg");
  return SignOp::kAvg;
}

std::optional<Algorithm> parseAlgorithmOf(const Node& node) {
  const std::string name = node.text();
  if (name == kModel) return std::nullopt;
  const std::optional<Algorithm> algorithm = parseAlgorithm(name);
  if (!algorithm) node.reject("one of " + algorithmNames() + ", " + std::string(kModel));
  return algorithm;
}

std::map<std::size_t, std::optional<Algorithm>> parseChoices(const Node& list) {
  std::map<std::size_t, std::optional<Algorithm>> choices;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Node choice = list.at(i);
    choice.requireMembers({"from_count", "algorithm"});
    const Node from = choice.member("from_count");
    const auto count = static_cast<std::size_t>(from.integer(0, INT64_MAX));
    if (!choices.empty() && count <= choices.rbegin()->first) from.reject("more than in the choice before");
    choices.emplace(count, parseAlgorithmOf(choice.member("algorithm")));
  }
  return choices;
}

Json parseJson(std::string_view text, const std::string& name) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw Error(signcclInvalidUsage, name + " is no JSON: " + error.what());
  }
}

}  // namespace

std::shared_ptr<const TuningTable> TuningTable::read(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error(signcclInvalidUsage, "SIGNCCL_TUNING_FILE=" + path + ": the file cannot be read");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return parse(text, path);
}

std::shared_ptr<const TuningTable> TuningTable::parse(std::string_view text, const std::string& name) {
  const Json json = parseJson(text, name);
  const Node root(json, name + ": file");
  root.requireMembers({"format", "version", "groups"});
  if (const Node format = root.member("format"); format.text() != kFormat) format.reject(std::string(kFormat));
  if (const Node version = root.member("version"); version.integer(0, INT64_MAX) != kVersion) {
    version.reject("version " + std::to_string(kVersion));
  }
  auto table = std::make_shared<TuningTable>();
  const Node groups = root.member("groups");
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const Node node = groups.at(i);
    node.requireMembers({"collective", "nranks", "nnodes", "choices"});
    const auto nranks = static_cast<int>(node.member("nranks").integer(1, kMaxRanks));
    const auto nnodes = static_cast<int>(node.member("nnodes").integer(1, nranks));
    const Group group{parseCollective(node.member("collective")), nranks, nnodes};
    if (!table->groups_.emplace(group, parseChoices(node.member("choices"))).second) {
      node.reject("each collective, number of ranks and number of nodes once");
    }
  }
  return table;
}

std::optional<Algorithm> TuningTable::choose(SignOp op, const Topology& topology, std::size_t count) const {
  const auto group = groups_.find({op, topology.nranks(), topology.nnodes()});
  if (group == groups_.end()) return std::nullopt;
  const auto next = group->second.upper_bound(count);
  return next == group->second.begin() ? std::nullopt : std::prev(next)->second;
}

std::string TuningTable::digest() const {
  std::uint64_t digest = 0;
  for (const auto& [group, choices] : groups_) {
    digest = mix(digest, static_cast<std::uint64_t>(std::get<0>(group)));
    digest = mix(digest, static_cast<std::uint64_t>(std::get<1>(group)));
    digest = mix(digest, static_cast<std::uint64_t>(std::get<2>(group)));
    digest = mix(digest, choices.size());
    for (const auto& [count, algorithm] : choices) {
      digest = mix(digest, count);
      digest = mix(digest, algorithm ? static_cast<std::uint64_t>(*algorithm) : kModelInDigest);
    }
  }
  std::array<char, 17> digits{};
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(digest));
  return digits.data();
}

}  // namespace signccl
