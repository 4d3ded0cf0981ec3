// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <string_view>

#include <CLI/CLI.hpp>

#include "launch/command_line.h"
#include "launch/error.h"
#include "sign_all_reduce_perf/element_types.h"

namespace signccl::perf {
namespace {

/// An option of nccl-tests that says something about GPUs or processes. Its neutral values are accepted, so that
/// command lines written for nccl-tests go on working; others are refused with the reason.
struct ForeignOption {
  const char* names;
  std::vector<std::string> neutral;
  const char* reason;
};

const std::vector<ForeignOption>& foreignOptions() {
  static const std::vector<ForeignOption> options = {
      {"--parallel_init", {"1"}, "each rank always joins in its own thread"},
      {"-r,--root", {"0", "-1"}, "the collectives have no root"},
      {"-z,--blocking", {"0"}, "calls block by themselves; --async measures the other form"},
      {"-y,--stream_null", {"0"}, "ranks with a GPU use a stream of their own"},
      {"-C,--report_cputime", {"0"}, "the time is that until results are there"},
      {"-R,--local_register", {"0"}, "buffers need no registration"},
      {"-D,--device_implementation", {"0"}, "there is no device API"},
      {"-V,--device_cta_count", {"16"}, "there is no device API"},
      {"-I,--per_iter_timing", {"0"}, "single iterations are not timed"},
      {"-K,--per_iter_skip", {"0"}, "single iterations are not timed"},
      {"-u,--unalign", {"0"}, "buffers are aligned to 64 bytes, those of GPUs to 256"},
      {"-x,--cta_policy", {}, "the kernels take no choice of CTAs"},
  };
  return options;
}

/// A validator that turns an OptionError of `check` into CLI11's error, which names the option.
CLI::Validator validator(const std::string& description, std::function<void(const std::string&)> check) {
  return {[check = std::move(check)](std::string& text) -> std::string {
            try {
              check(text);
              return {};
            } catch (const OptionError& error) {
              return error.what();
            }
          },
          description};
}

/// Values by name. The message of an unknown one lists the allowed ones.
template <typename T>
class NamedValues {
 public:
  explicit NamedValues(std::vector<std::pair<std::string, T>> values) : values_(std::move(values)) {}

  void addTo(CLI::App& app, const std::string& names, T& target, const std::string& description) const {
    const auto set = [this, &target](const std::string& text) { target = find(text); };
    app.add_option_function<std::string>(names, set, description)
        ->check(validator(list(), [this](const std::string& text) { find(text); }));
  }

 private:
  const T& find(const std::string& text) const {
    for (const auto& [name, value] : values_) {
      if (name == text) return value;
    }
    throw OptionError("'" + text + "' is none of " + list());
  }

  [[nodiscard]] std::string list() const {
    std::string names;
    for (const auto& [name, value] : values_) names += (names.empty() ? "" : "|") + name;
    return names;
  }

  std::vector<std::pair<std::string, T>> values_;
};

NamedValues<std::vector<signcclDataType_t>> namedSendTypes() {
  std::vector<std::pair<std::string, std::vector<signcclDataType_t>>> values;
  for (const auto type : sendTypes()) values.push_back({typeName(type), {type}});
  values.push_back({"all", {sendTypes().begin(), sendTypes().end()}});
  return NamedValues(std::move(values));
}

NamedValues<std::optional<signcclDataType_t>> namedRecvTypes() {
  std::vector<std::pair<std::string, std::optional<signcclDataType_t>>> values = {{"same", std::nullopt}};
  for (const auto type : recvTypes()) values.push_back({typeName(type), type});
  return NamedValues(std::move(values));
}

NamedValues<std::string> namedAlgorithms() {
  std::vector<std::pair<std::string, std::string>> values = {{"auto", ""}};
  for (const std::string& name : algorithmNames()) values.emplace_back(name, name);
  return NamedValues(std::move(values));
}

/// The choices live as long as the parser that refers to them.
struct Choices {
  NamedValues<std::vector<SignOp>> op{{{"vote", {SignOp::kVote}},
                                       {"avg", {SignOp::kAvg}},
                                       {"sum", {SignOp::kSum}},
                                       {"all", {SignOp::kVote, SignOp::kAvg}}}};
  NamedValues<std::vector<signcclDataType_t>> sendtype = namedSendTypes();
  NamedValues<std::optional<signcclDataType_t>> recvtype = namedRecvTypes();
  NamedValues<Average> average{
      {{"0", Average::kRank0}, {"1", Average::kMean}, {"2", Average::kMin}, {"3", Average::kMax}}};
  NamedValues<bool> off_or_on{{{"0", false}, {"1", true}}};
  NamedValues<std::string> algorithm = namedAlgorithms();
  NamedValues<signcclZeroRule_t> zero{{{"binary", signcclZeroBinary}, {"ternary", signcclZeroTernary}}};
  NamedValues<signcclTieRule_t> tie{{{"zero", signcclTieZero},
                                     {"positive", signcclTiePositive},
                                     {"negative", signcclTieNegative},
                                     {"random", signcclTieRandom}}};
  NamedValues<signcclMisfitRule_t> misfit{{{"keep", signcclMisfitKeep}, {"discard", signcclMisfitDiscard}}};
};

void addSize(CLI::App& app, const std::string& names, std::size_t& target, const std::string& description) {
  app.add_option_function<std::string>(
         names, [&target](const std::string& text) { target = parseSize(text); }, description)
      ->check(validator("SIZE", [](const std::string& text) { parseSize(text); }));
}

CLI::Option* addInt(CLI::App& app, const std::string& names, int& target, const CLI::Range& range,
                    const std::string& description) {
  return app.add_option(names, target, description)->check(range);
}

/// What the command line says about ranks.
struct RankOptions {
  std::optional<int> nthreads;
  std::optional<int> ngpus;
  launch::LaunchOptions launch;
};

void addRankOptions(CLI::App& app, RankOptions& options) {
  app.add_option("-t,--nthreads", options.nthreads,
                 "ranks of each process, each a thread (default 2; 1 with several processes, and with -g)")
      ->check(CLI::Range(1, 1024));
  app.add_option(
         "-g,--ngpus", options.ngpus,
         "buffers are in the memory of GPUs: a process has -t times as many ranks, each with a GPU and a thread of "
         "its own (default: buffers are in host memory)")
      ->check(CLI::Range(1, 1024));
  launch::addLaunchOptions(app, options.launch);
}

void addOptionsOfNcclTests(CLI::App& app, const Choices& choices, Options& options) {
  addSize(app, "-b,--minbytes", options.min_bytes, "smallest size, with suffix K, M or G (default 32M)");
  addSize(app, "-e,--maxbytes", options.max_bytes, "largest size (default 32M)");
  addSize(app, "-i,--stepbytes", options.step_bytes, "step between sizes (default 1M)");
  app.add_option("-f,--stepfactor", options.step_factor, "factor between sizes, instead of a step; 1: off (default)")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 20));
  addInt(app, "-n,--iters", options.iters, CLI::Range(1, 1000000), "timed iterations (default 20)");
  addInt(app, "-w,--warmup_iters", options.warmup_iters, CLI::Range(0, 1000000), "untimed iterations (default 1)");
  addInt(app, "-m,--agg_iters", options.agg_iters, CLI::Range(1, 4096), "calls in one group (default 1)");
  addInt(app, "-N,--run_cycles", options.run_cycles, CLI::Range(0, 1000000), "repetitions; 0: forever (default 1)");
  addInt(app, "-c,--check", options.check_iters, CLI::Range(0, 1000000),
         "checked iterations; 0: do not check (default 1)");
  addInt(
      app, "-G,--cudagraph", options.graph_launches, CLI::Range(0, 1000000),
      "capture the timed iterations into a CUDA graph, and time so many launches of it; 0: make the calls one by one "
      "(default 0)");
  choices.op.addTo(app, "-o,--op", options.ops,
                   "operation; sum: of -1 and +1, which is not timed in place; all: vote and avg (default vote)");
  choices.sendtype.addTo(app, "-d,--datatype", options.sendtypes, "type of the input (default float)");
  choices.average.addTo(app, "-a,--average", options.average,
                        "time to report: 0 of rank 0, 1 mean, 2 min, 3 max over the ranks (default 1)");
  choices.off_or_on.addTo(app, "-S,--report_timestamps", options.report_timestamps,
                          "end each row with the date and time (default 0)");
  app.add_option("-J,--output_file", options.output_file, "write JSON to this file, or with .0, .1, ... if it exists")
      ->check([](const std::string& text) { return text.empty() ? std::string("the file name is empty") : ""; });
  choices.off_or_on.addTo(app, "-M,--memory", options.report_memory,
                          "report the memory that a rank holds for exchanges (default 0)");
  addInt(app, "-T,--timeout", options.timeout_s, CLI::Range(0, 2000000),
         "seconds until a call, or a wait of processes for each other, fails; 0: SIGNCCL_TIMEOUT (default 0)");
}

void addForeignOptions(CLI::App& app) {
  for (const ForeignOption& foreign : foreignOptions()) {
    const auto refuse = [&foreign](const std::string& text) {
      for (const std::string& neutral : foreign.neutral) {
        if (text == neutral) return;
      }
      std::string allowed;
      for (const std::string& neutral : foreign.neutral) allowed += (allowed.empty() ? "" : " or ") + neutral;
      throw OptionError("'" + text + "' is not supported: " + foreign.reason +
                        (allowed.empty() ? "" : "; allowed: " + allowed));
    };
    app.add_option_function<std::string>(
           foreign.names, [](const std::string&) {}, foreign.reason)
        ->check(validator("", refuse))
        ->group("Options of nccl-tests that have no meaning here");
  }
}

void addOwnOptions(CLI::App& app, const Choices& choices, Options& options) {
  choices.recvtype.addTo(app, "--recvtype", options.recvtype,
                         "type of the result (default: that of the input where it can hold the result)");
  choices.algorithm.addTo(app, "--algo", options.algorithm, "algorithm (default auto)");
  app.add_option("--tune", options.tuning_file,
                 "measure every algorithm at least three times, and write which ones are better than the library's own "
                 "choice into this file for SIGNCCL_TUNING_FILE; what it says of other numbers of ranks stays. "
                 "SIGNCCL_ALGO and SIGNCCL_TUNING_FILE have no effect meanwhile")
      ->check([](const std::string& text) { return text.empty() ? std::string("the file name is empty") : ""; });
  choices.zero.addTo(app, "--zero", options.zero_rule, "sign of zero (default binary)");
  choices.tie.addTo(app, "--tie", options.tie_rule, "result of a tied vote (default random)");
  choices.misfit.addTo(app, "--misfit", options.misfit_rule,
                       "what a sum may leave in recvbuff where values do not fit (default keep)");
  addInt(app, "--kernel-threads", options.kernel_threads, CLI::Range(1, 1024),
         "threads that run kernels for a rank (default: the library's)");
  app.add_flag_function(
      "--async", [&options](std::int64_t) { options.form = CallForm::kAsync; }, "time the non-blocking calls");
  app.add_flag("--oversubscribe", options.oversubscribe,
               "let ranks share GPUs: rank number r of a machine has GPU r modulo their number; goes with -g");
  addInt(app, "--corrupt", options.corrupt_rank, CLI::Range(0, 1023), "damage a result of this rank")->group("");
  addInt(app, "--disagree", options.disagree_rank, CLI::Range(0, 1023), "give this rank another count")->group("");
}

void requireThatTuningFits(const Options& options) {
  if (!options.algorithm.empty()) throw OptionError("--tune tries every algorithm, so it takes no --algo");
  if (options.sendtypes.size() != 1) throw OptionError("--tune compares times of one type, so it takes no -d all");
  if (options.run_cycles == 0) throw OptionError("--tune has to end, so it takes no --run_cycles 0");
  const std::size_t least_bytes = payloadBytes(options.sendtypes.front(), 1);
  if (options.min_bytes < least_bytes) {
    throw OptionError("--tune needs elements: --minbytes " + std::to_string(options.min_bytes) + " is less than the " +
                      std::to_string(least_bytes) + " of one");
  }
}

void requireThatSumsFit(const Options& options) {
  if (std::ranges::find(options.ops, SignOp::kSum) == options.ops.end()) return;
  if (options.ngpus > 0) throw OptionError("--op sum does not go with -g: sums of signs take buffers in host memory");
  if (options.form == CallForm::kAsync)
    throw OptionError("--op sum does not go with --async: sums have blocking calls");
  if (!options.tuning_file.empty()) throw OptionError("--op sum does not go with --tune, which tunes vote and avg");
  for (const signcclDataType_t type : options.sendtypes) {
    if (options.recvtype.value_or(type) != type) {
      throw OptionError(std::string("--recvtype ") + typeName(*options.recvtype) +
                        " does not go with --op sum: a sum has the type of its input, " + typeName(type));
    }
    const std::string reason = whyNotRecvType(SignOp::kSum, type, options.tie_rule, options.nranks);
    if (!reason.empty() && options.sendtypes.size() == 1) {
      throw OptionError(std::string("--datatype ") + typeName(type) + " does not go with --op sum: " + reason);
    }
  }
}

void requireThatOptionsFit(const Options& options) {
  if (options.min_bytes > options.max_bytes) {
    throw OptionError("--minbytes " + std::to_string(options.min_bytes) + " is more than --maxbytes " +
                      std::to_string(options.max_bytes));
  }
  if (options.step_factor == 1 && options.step_bytes == 0 && options.min_bytes != options.max_bytes) {
    throw OptionError("--stepbytes 0 never reaches --maxbytes; give 1 or more");
  }
  if (options.step_factor > 1 && options.min_bytes == 0 && options.max_bytes != 0) {
    throw OptionError("--minbytes 0 never grows by --stepfactor " + std::to_string(options.step_factor) +
                      "; give 1 or more");
  }
  for (const int rank : {options.corrupt_rank, options.disagree_rank}) {
    if (rank >= options.nranks) throw OptionError("there is no rank " + std::to_string(rank));
  }
  if (options.ngpus > 0 && options.form == CallForm::kAsync) {
    throw OptionError("--async does not go with -g: calls on a stream return at once by themselves");
  }
  if (options.graph_launches > 0 && options.ngpus == 0) {
    throw OptionError("--cudagraph " + std::to_string(options.graph_launches) +
                      " goes with -g: only calls on the stream of a GPU can be captured");
  }
  if (options.oversubscribe && options.ngpus == 0) throw OptionError("--oversubscribe goes with -g");
  if (!options.tuning_file.empty()) requireThatTuningFits(options);
  requireThatSumsFit(options);
  if (!options.recvtype) return;
  for (const SignOp op : options.ops) {
    const std::string reason = whyNotRecvType(op, *options.recvtype, options.tie_rule, options.nranks);
    if (!reason.empty()) {
      throw OptionError(std::string("--recvtype ") + typeName(*options.recvtype) + " does not go with --op " +
                        opName(op) + ": " + reason);
    }
  }
}

launch::Job resolveRanks(const RankOptions& asked, Options& options) {
  try {
    launch::Job job = launch::planJob(asked.launch);
    // Nobody who asks for processes or GPUs, be it one, expects two ranks in each.
    const bool is_one = !job.place.origin.empty() || asked.ngpus.has_value();
    options.ngpus = asked.ngpus.value_or(0);
    options.nthreads = asked.nthreads.value_or(is_one ? 1 : 2) * std::max(options.ngpus, 1);
    options.nprocesses = job.place.nprocesses;
    options.nranks = options.nprocesses * options.nthreads;
    return job;
  } catch (const launch::LaunchError& error) {
    throw OptionError(error.what());
  }
}

/// The power of two that a suffix of a size stands for.
std::optional<int> suffixExponent(std::string_view suffix) {
  if (suffix.empty()) return 0;
  if (suffix.size() > 1) return std::nullopt;
  switch (suffix.front()) {
    case 'K':
    case 'k':
      return 10;
    case 'M':
    case 'm':
      return 20;
    case 'G':
    case 'g':
      return 30;
    case 'T':
    case 't':
      return 40;
    default:
      return std::nullopt;
  }
}

double minBusBandwidth() {
  const char* text = std::getenv("SIGNCCL_TESTS_MIN_BW");
  if (text == nullptr) return -1;
  double value = 0;
  const char* end = text + std::string_view(text).size();
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value) || value < 0) {
    throw OptionError(std::string("SIGNCCL_TESTS_MIN_BW: '") + text + "' is not a number of GB/s, 0 or more");
  }
  return value;
}

}  // namespace

const std::vector<std::string>& algorithmNames() {
  static const std::vector<std::string> kNames = {"oneshot", "direct", "ring", "tree", "knomial", "hierarchical"};
  return kNames;
}

std::size_t parseSize(const std::string& text) {
  const auto refuse = [&text](const char* why) {
    throw OptionError("'" + text + "' " + why + "; allowed: a number with an optional suffix K, M, G or T");
  };
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || !std::isfinite(value)) refuse("is not a size");
  if (value < 0) refuse("is negative");
  const std::optional<int> exponent = suffixExponent({stop, static_cast<std::size_t>(end - stop)});
  if (!exponent) refuse("has an unknown suffix");
  const double bytes = std::ldexp(value, exponent.value_or(0));
  if (bytes >= 0x1p50) refuse("is more than any machine has");
  return static_cast<std::size_t>(bytes);
}

ParsedOptions parseOptions(int argc, const char* const* argv) {
  ParsedOptions parsed;
  Options& options = parsed.options;
  const Choices choices;
  CLI::App app(
      "Measures sign-allreduce-vote and sign-allreduce-avg, and sums of signs, with the options, columns and JSON of "
      "nccl-tests.\n"
      "Ranks are threads (-t, -g) of this process, of processes that it starts (-p), or of those of mpirun, srun, "
      "torchrun.\n"
      "SIGNCCL_KERNELS selects the kernels; SIGNCCL_TESTS_MIN_BW makes the run fail if the average bus bandwidth "
      "(GB/s)\n"
      "is below 90 % of it.",
      "sign_all_reduce_perf");
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  RankOptions ranks;
  addRankOptions(app, ranks);
  addOptionsOfNcclTests(app, choices, options);
  addOwnOptions(app, choices, options);
  addForeignOptions(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    parsed.help = app.help();
    return parsed;
  } catch (const CLI::ParseError& error) {
    throw OptionError(error.what());
  }
  options.arguments.assign(argv, argv + argc);
  options.min_bus_bandwidth = minBusBandwidth();
  parsed.job = resolveRanks(ranks, options);
  requireThatOptionsFit(options);
  return parsed;
}

}  // namespace signccl::perf
