// As in nccl-tests, booleans are the strings "true" and "false", root is a padded string, and devices is part of
// config. Other than there, env has only the variables that this program or its transport reads, because a whole
// environment holds secrets.
#include "sign_all_reduce_perf/json_report.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <unistd.h>

#include "sign_all_reduce_perf/element_types.h"

namespace signccl::perf {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFileVersion = 3;

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

constexpr std::string_view kRowsEnd = "\n  ]";

std::string textOf(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

/// The lines of `json` where it stands two levels deep.
std::string indented(const Json& json) {
  std::string text = "\n    ";
  for (const char c : textOf(json)) text += c == '\n' ? "\n    " : std::string(1, c);
  return text;
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
    list.push_back({{"rank", rank},
                    {"group", 0},
                    {"pid", host.pid},
                    {"hostname", host.name},
                    {"device", nullptr},
                    {"device_hex", nullptr},
                    {"device_info", "cpu " + info.kernels}});
  }
  return list;
}

Json configuration(const Options& options, const RunInfo& info, const std::vector<Host>& hosts) {
  Json config = {{"nprocesses", options.nprocesses},
                 {"nthreads", options.nthreads},
                 {"ngpus", 1},
                 {"minimum_bytes", options.min_bytes},
                 {"maximum_bytes", options.max_bytes}};
  if (options.step_factor > 1) {
    config["step_factor"] = options.step_factor;
  } else {
    config["step_bytes"] = options.step_bytes;
  }
  config.update({{"warmup_iters", options.warmup_iters},
                 {"iterations", options.iters},
                 {"aggregated_iterations", options.agg_iters},
                 {"validation", options.check_iters},
                 {"graph", 0},
                 {"blocking_collectives", boolText(options.form == CallForm::kBlocking)},
                 {"per_iter_timing", boolText(false)},
                 {"per_iter_skip", 0},
                 {"parallel_init", boolText(true)},
                 {"run_cycles", options.run_cycles},
                 {"average", static_cast<int>(options.average)},
                 {"algorithm", options.algorithm.empty() ? "auto" : options.algorithm},
                 {"zero_rule", zeroRuleName(options.zero_rule)},
                 {"tie_rule", tieRuleName(options.tie_rule)},
                 {"kernels", info.kernels}});
  config["kernel_threads"] = options.kernel_threads > 0 ? Json(options.kernel_threads) : Json(nullptr);
  config["devices"] = devices(options, info, hosts);
  return config;
}

Json measurement(const Measurement& m) {
  return {{"time", m.time_us},
          {"alg_bw", m.algbw},
          {"bus_bw", m.busbw},
          {"nwrong", m.nwrong ? Json(*m.nwrong) : Json(nullptr)}};
}

}  // namespace

JsonReport::JsonReport(const Options& options)
    : path_(createFreshFile(options.output_file)), file_(path_, std::ios::in | std::ios::out) {
  head_ = {{"version", kFileVersion}, {"start_time", timeOfDay()},  {"args", options.arguments}, {"env", environment()},
           {"nccl_version", nullptr}, {"signccl_version", nullptr}, {"config", nullptr}};
}

void JsonReport::start(const Options& options, const RunInfo& info, const std::vector<Host>& hosts) {
  head_["signccl_version"] = info.library_version;
  head_["config"] = configuration(options, info, hosts);
  put("", "\n}\n");
}

void JsonReport::add(const Row& row) {
  const Json json = {{"size", row.size_bytes},
                     {"count", row.c.count},
                     {"type", typeName(row.c.sendtype)},
                     {"redop", opName(row.c.op)},
                     {"root", "    -1"},
                     {"out_of_place", measurement(row.out_of_place)},
                     {"in_place", measurement(row.in_place)},
                     {"actual_iterations", row.iterations},
                     {"experiment_name", "sign_all_reduce_perf"},
                     {"result_type", typeName(row.c.recvtype)},
                     {"sent_bytes_per_rank", row.sent_bytes},
                     {"bits_per_element", row.bits_per_element},
                     {"algorithm", row.algorithm},
                     {"timestamp", row.timestamp}};
  put((has_rows_ ? "," : "") + indented(json), "\n}\n");
  has_rows_ = true;
}

void JsonReport::finish(const Summary& summary, const RunResult& result, const Options& options) {
  Json tail;
  tail["out_of_bounds"] = {{"count", summary.nwrong()}, {"okay", boolText(summary.nwrong() == 0)}};
  tail["average_bus_bandwidth"] = {
      {"bandwidth", summary.averageBusBandwidth()},
      {"okay", options.min_bus_bandwidth < 0 ? "unchecked" : boolText(summary.bandwidthOkay(options))}};
  tail["scratch_bytes_per_rank"] = result.scratch_bytes;
  tail["errors"] = result.errors;
  tail["end_time"] = timeOfDay();
  put("", "," + textOf(tail).substr(1) + "\n");  // without its brace
}

/// Appends `text` to the head and the rows, and ends the file with `end`, which the next text takes the place of.
void JsonReport::put(std::string_view text, std::string_view end) {
  if (!has_head_) {
    std::string head = textOf(head_);
    head.resize(head.rfind('\n'));  // without its brace
    file_ << head << ",\n  \"results\": [";
    has_head_ = true;
  }
  file_ << text;
  const auto place = file_.tellp();
  file_ << kRowsEnd << end << std::flush;
  file_.seekp(place);
  if (!file_) throw std::runtime_error("writing '" + path_ + "' failed");
}

}  // namespace signccl::perf
