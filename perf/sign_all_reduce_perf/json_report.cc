// SPDX-License-Identifier: Apache-2.0
// As in nccl-tests, booleans are the strings "true" and "false", root is a padded string, and devices is part of
// config. Other than there, env has only the variables that this program or its transport reads, because a whole
// environment holds secrets.
#include "sign_all_reduce_perf/json_report.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <unistd.h>
#include <utility>

#include "sign_all_reduce_perf/element_types.h"

namespace signccl::perf {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFileVersion = 3;
constexpr std::size_t kRowIndent = 4;

/// Creates `path` if nothing has that name. Returns 0 or the errno of the failure.
int createFile(const std::string& path) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) return errno;
  close(file);
  return 0;
}

std::string createFreshFile(const std::string& wanted) {
  std::string path = wanted;
  int error = createFile(path);
  for (int number = 0; error == EEXIST; ++number) {
    path = wanted + "." + std::to_string(number);
    error = createFile(path);
  }
  if (error != 0) throw OptionError("--output_file: cannot create '" + path + "': " + std::strerror(error));
  return path;
}

const char* boolText(bool value) { return value ? "true" : "false"; }

Json environment() {
  Json variables = Json::array();
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (text.starts_with("SIGNCCL_COMM_SECRET=")) {
      variables.push_back("SIGNCCL_COMM_SECRET=(hidden)");
    } else if (text.starts_with("SIGNCCL_") || text.starts_with("UCX_")) {
      variables.push_back(text);
    }
  }
  return variables;
}

Json devices(const Options& options, const RunInfo& info, const std::vector<Host>& hosts) {
  Json list = Json::array();
  for (int rank = 0; rank < options.nranks; ++rank) {
    const Host& host = hosts[static_cast<std::size_t>(rank / options.nthreads)];
    Json device = {{"rank", rank}, {"group", 0}, {"pid", host.pid}, {"hostname", host.name}};
    if (host.gpus.empty()) {
      device.update({{"device", nullptr}, {"device_hex", nullptr}, {"device_info", "cpu " + info.kernels}});
    } else {
      const Gpu& gpu = host.gpus[static_cast<std::size_t>(rank % options.nthreads)];
      device.update({{"device", gpu.ordinal}, {"device_hex", gpu.pci_address}, {"device_info", gpu.name}});
    }
    list.push_back(std::move(device));
  }
  return list;
}

std::string algorithmText(const Options& options) {
  if (!options.tuning_file.empty()) return "all";
  return options.algorithm.empty() ? "auto" : options.algorithm;
}

Json configuration(const Options& options, const RunInfo& info, const std::vector<Host>& hosts) {
  Json config = {{"nprocesses", options.nprocesses},    {"nthreads", options.nthreads / std::max(options.ngpus, 1)},
                 {"ngpus", std::max(options.ngpus, 1)}, {"buffers", options.ngpus > 0 ? "device" : "host"},
                 {"minimum_bytes", options.min_bytes},  {"maximum_bytes", options.max_bytes}};
  if (options.step_factor > 1) {
    config["step_factor"] = options.step_factor;
  } else {
    config["step_bytes"] = options.step_bytes;
  }
  config.update({{"warmup_iters", options.warmup_iters},
                 {"iterations", options.iters},
                 {"aggregated_iterations", options.agg_iters},
                 {"validation", options.check_iters},
                 {"graph", options.graph_launches},
                 {"blocking_collectives", boolText(options.form == CallForm::kBlocking)},
                 {"per_iter_timing", boolText(false)},
                 {"per_iter_skip", 0},
                 {"parallel_init", boolText(true)},
                 {"run_cycles", options.run_cycles},
                 {"average", static_cast<int>(options.average)},
                 {"algorithm", algorithmText(options)},
                 {"zero_rule", zeroRuleName(options.zero_rule)},
                 {"tie_rule", tieRuleName(options.tie_rule)},
                 {"misfit_rule", misfitRuleName(options.misfit_rule)},
                 {"kernels", info.kernels}});
  config["kernel_threads"] = options.kernel_threads > 0 ? Json(options.kernel_threads) : Json(nullptr);
  config["devices"] = devices(options, info, hosts);
  return config;
}

Json measurement(const Measurement& m) {
  return {{"time", m.time_us},
          {"alg_bw", m.algbw},
          {"bus_bw", m.busbw},
          {"wire_bw", m.wirebw},
          {"nwrong", m.nwrong ? Json(*m.nwrong) : Json(nullptr)}};
}

Json resultOf(const Row& row) {
  return {{"size", row.size_bytes},
          {"count", row.c.count},
          {"type", typeName(row.c.sendtype)},
          {"redop", opName(row.c.op)},
          {"root", "    -1"},
          {"out_of_place", measurement(row.out_of_place)},
          {"in_place", row.in_place ? measurement(*row.in_place) : Json(nullptr)},
          {"actual_iterations", row.iterations},
          {"experiment_name", "sign_all_reduce_perf"},
          {"result_type", typeName(row.c.recvtype)},
          {"sent_bytes_per_rank", row.sent_bytes},
          {"bits_per_element", row.bits_per_element},
          {"algorithm", row.algorithm},
          {"timestamp", row.timestamp}};
}

/// All lines but the first are indented by `spaces`.
std::string toText(const Json& json, std::size_t spaces) {
  std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace);
  for (std::size_t end = text.find('\n'); spaces > 0 && end != std::string::npos; end = text.find('\n', end + 1)) {
    text.insert(end + 1, spaces, ' ');
  }
  return text;
}

}  // namespace

JsonReport::JsonReport(const Options& options) : options_(options), path_(createFreshFile(options.output_file)) {
  head_ = {{"version", kFileVersion}, {"start_time", timeOfDay()},  {"args", options.arguments}, {"env", environment()},
           {"nccl_version", nullptr}, {"signccl_version", nullptr}, {"config", nullptr}};
  writeHead();
}

void JsonReport::start(const RunInfo& info, const std::vector<Host>& hosts) {
  head_["signccl_version"] = info.library_version;
  head_["config"] = configuration(options_, info, hosts);
  writeHead();
}

void JsonReport::writeHead() {
  file_.close();
  file_.open(path_, std::ios::out | std::ios::trunc);
  std::string text = toText(head_, 0);
  text.erase(text.rfind("\n}"));
  text += ",\n  \"results\": [";
  rows_end_ = static_cast<std::streamoff>(text.size());
  write(text + tail({}, nullptr));
}

void JsonReport::add(const Row& row) {
  summary_.add(row);
  const std::string text = (has_rows_ ? ",\n    " : "\n    ") + toText(resultOf(row), kRowIndent);
  has_rows_ = true;
  file_.seekp(rows_end_);
  rows_end_ += static_cast<std::streamoff>(text.size());
  write(text + tail({}, nullptr));
}

void JsonReport::finish(const RunResult& result) {
  file_.seekp(rows_end_);
  write(tail(result, timeOfDay()));
}

std::string JsonReport::tail(const RunResult& result, const Json& end_time) const {
  const char* fast_enough = options_.min_bus_bandwidth < 0 ? "unchecked" : boolText(summary_.bandwidthOkay(options_));
  const Json members = {
      {"out_of_bounds",
       {{"count", summary_.nwrong()}, {"okay", boolText(summary_.nwrong() == 0 && result.errors.empty())}}},
      {"average_bus_bandwidth", {{"bandwidth", summary_.averageBusBandwidth()}, {"okay", fast_enough}}},
      {"scratch_bytes_per_rank", result.scratch_bytes},
      {"errors", result.errors},
      {"end_time", end_time}};
  return (has_rows_ ? "\n  ]," : "],") + toText(members, 0).substr(1) + "\n";
}

/// Overwrites what follows the rows, which is never shorter: a row is longer than what a tail can lose.
void JsonReport::write(const std::string& text) {
  file_ << text << std::flush;
  if (!file_) throw std::runtime_error("writing '" + path_ + "' failed");
}

}  // namespace signccl::perf
