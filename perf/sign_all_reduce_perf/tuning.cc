#include "sign_all_reduce_perf/tuning.h"

#include <algorithm>
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

void TuningRecord::add(const Row& row) {
  const double time_us = row.out_of_place.time_us;
  const auto [entry, is_new] = times_[row.c.op][row.c.count].emplace(row.algorithm, time_us);
  if (!is_new) entry->second = std::min(entry->second, time_us);
}

/// Between two sizes with different winners the border is at their geometric mean.
Json TuningRecord::groupOf(SignOp op) const {
  Json choices = Json::array();
  std::string last;
  double last_count = 0;
  for (const auto& [count, times] : times_.at(op)) {
    const auto best = std::ranges::min_element(times, {}, &Times::value_type::second);
    const double from = std::ceil(std::sqrt(last_count * static_cast<double>(count)));
    if (best->first != last) {
      choices.push_back({{"from_count", static_cast<std::size_t>(from)}, {"algorithm", best->first}});
      last = best->first;
    }
    last_count = static_cast<double>(count);
  }
  return {{"collective", opName(op)}, {"nranks", nranks_}, {"nnodes", nnodes_}, {"choices", std::move(choices)}};
}

Json TuningRecord::mergedInto(const std::string& file) const {
  Json groups = Json::array();
  std::vector<Json> measured;
  for (const auto& [op, counts] : times_) measured.push_back(groupOf(op));
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
