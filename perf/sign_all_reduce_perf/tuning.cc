// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/tuning.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "sign_all_reduce_perf/element_types.h"

namespace signccl::perf {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "signccl-tuning";
constexpr int kVersion = 1;
constexpr const char* kModel = "model";

/// An algorithm that overrules the model is faster by at least this part, whatever the noise.
constexpr double kMargin = 0.05;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

bool isAlwaysFaster(const std::vector<double>& one, const std::vector<double>& other) {
  return std::ranges::max(one) < std::ranges::min(other);
}

std::string microseconds(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f us", value);
  return text.data();
}

/// The groups of a file that was written before.
Json groupsOf(const std::string& file) {
  if (file.empty()) return Json::array();
  const Json document = Json::parse(file, nullptr, false);
  if (!document.is_object() || document.value("format", "") != kFormat || document.value("version", 0) != kVersion ||
      !document.contains("groups") || !document["groups"].is_array()) {
    throw OptionError("the file exists and is no tuning file of version " + std::to_string(kVersion));
  }
  return document["groups"];
}

bool describesSame(const Json& a, const Json& b) {
  return std::ranges::all_of(std::initializer_list<const char*>{"collective", "nranks", "nnodes"},
                             [&](const char* key) { return a.value(key, Json()) == b.value(key, Json()); });
}

}  // namespace

std::vector<std::string> algorithmsToTune(int nranks, int nnodes) {
  std::vector<std::string> names = algorithmNames();
  if (nnodes == 1 || nnodes == nranks) std::erase(names, "hierarchical");
  return names;
}

int countNodes(const std::vector<Host>& hosts) {
  std::set<std::pair<std::string, std::string>> nodes;
  for (const Host& host : hosts) nodes.emplace(host.name, host.machine);
  return static_cast<int>(nodes.size());
}

void TuningRecord::addChoiceOfModel(const Row& row) {
  if (std::ranges::find(algorithms_, row.algorithm) == algorithms_.end()) {
    throw OptionError("--tune: the library chooses " + row.algorithm + " for " + std::to_string(row.c.count) +
                      " elements, which is not measured: SIGNCCL_RANKS_PER_NODE or SIGNCCL_HOSTID lets it see other "
                      "nodes than the " +
                      std::to_string(nnodes_) + " that there are");
  }
  sizes_[row.c.op][row.c.count].by_model = row.algorithm;
}

void TuningRecord::add(const Row& row) {
  Times& times = sizes_[row.c.op][row.c.count].times[row.algorithm];
  times.out_of_place_us.push_back(row.out_of_place.time_us);
  times.in_place_us.push_back(row.in_place.value().time_us);
}

/// Noise is how far the rounds lie apart: the slowest round of the one must be faster than the fastest of the other.
bool TuningRecord::isCertainlyFaster(const Times& one, const Times& other) {
  return isAlwaysFaster(one.out_of_place_us, other.out_of_place_us) &&
         isAlwaysFaster(one.in_place_us, other.in_place_us) &&
         median(one.out_of_place_us) < (1 - kMargin) * median(other.out_of_place_us);
}

std::vector<TuningDecision> TuningRecord::decisions(SignOp op) const {
  std::vector<TuningDecision> decisions;
  for (const auto& [count, size] : sizes_.at(op)) {
    TuningDecision decision;
    decision.count = count;
    decision.by_model = decision.fastest = size.by_model;
    const Times& of_model = size.times.at(size.by_model);
    decision.by_model_us = median(of_model.out_of_place_us);
    decision.fastest_us = decision.by_model_us;
    for (const auto& [algorithm, times] : size.times) {
      const double time_us = median(times.out_of_place_us);
      const bool is_certain = isCertainlyFaster(times, of_model);
      // One that is certainly better goes before one that only may be.
      if (is_certain == decision.is_certain ? time_us >= decision.fastest_us : !is_certain) continue;
      decision.fastest = algorithm;
      decision.fastest_us = time_us;
      decision.is_certain = is_certain;
    }
    decisions.push_back(std::move(decision));
  }
  return decisions;
}

std::string TuningRecord::text() const {
  std::string text;
  for (const auto& [op, sizes] : sizes_) {
    for (const TuningDecision& one : decisions(op)) {
      text += std::string("# ") + opName(op) + " of " + std::to_string(one.count) + " elements: ";
      text +=
          one.is_certain ? one.fastest + ", " + microseconds(one.fastest_us) + " instead of " : "as the model says, ";
      text += microseconds(one.by_model_us) + " (" + one.by_model + ")";
      if (!one.is_certain && one.fastest != one.by_model) {
        text += "; " + one.fastest + " took " + microseconds(one.fastest_us) + ", which may be noise";
      }
      text += '\n';
    }
    if (sizes.size() > 1) continue;
    const std::size_t count = sizes.begin()->first;
    text += "# Warning: one size was measured, so the file decides for " + std::to_string(count) + " to " +
            std::to_string(2 * count - 1) + " elements only; -b, -e and -f measure more sizes\n";
  }
  return text;
}

/// Between two sizes with different choices the border is at their geometric mean. Below the smallest size, and from
/// twice the largest on, the model decides.
Json TuningRecord::groupOf(SignOp op) const {
  Json choices = Json::array();
  std::string last;
  std::size_t last_count = 0;
  const auto choose = [&](double from, const std::string& algorithm) {
    if (algorithm != last)
      choices.push_back({{"from_count", static_cast<std::size_t>(from)}, {"algorithm", algorithm}});
    last = algorithm;
  };
  for (const TuningDecision& one : decisions(op)) {
    const auto count = static_cast<double>(one.count);
    const double from = last_count == 0 ? count : std::ceil(std::sqrt(static_cast<double>(last_count) * count));
    choose(from, one.is_certain ? one.fastest : kModel);
    last_count = one.count;
  }
  choose(2.0 * static_cast<double>(last_count), kModel);
  return {{"collective", opName(op)}, {"nranks", nranks_}, {"nnodes", nnodes_}, {"choices", std::move(choices)}};
}

Json TuningRecord::mergedInto(const std::string& file) const {
  Json groups = Json::array();
  std::vector<Json> measured;
  for (const auto& [op, sizes] : sizes_) measured.push_back(groupOf(op));
  for (const Json& group : groupsOf(file)) {
    if (std::ranges::none_of(measured, [&](const Json& one) { return describesSame(one, group); })) {
      groups.push_back(group);
    }
  }
  for (Json& group : measured) groups.push_back(std::move(group));
  return {{"format", kFormat}, {"version", kVersion}, {"groups", std::move(groups)}};
}

void writeTuningFile(const TuningRecord& record, const std::string& path) {
  try {
    std::ifstream before(path);
    const std::string text{std::istreambuf_iterator<char>(before), {}};
    const std::string merged = record.mergedInto(text).dump(2) + "\n";
    // A reader finds the old file or the new one, never half of one.
    const std::string fresh = path + ".new";
    std::ofstream file(fresh, std::ios::trunc);
    file << merged << std::flush;
    if (!file) throw OptionError("cannot write '" + fresh + "'");
    if (std::rename(fresh.c_str(), path.c_str()) != 0) throw OptionError("cannot rename '" + fresh + "' to it");
  } catch (const OptionError& error) {
    throw OptionError("--tune " + path + ": " + error.what());
  }
}

}  // namespace signccl::perf
