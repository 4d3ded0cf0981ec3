// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include "launch/command_line.h"
#include "launch/error.h"

namespace digits {
namespace {

constexpr int kMostWorkers = 128;

template <typename Value>
using Named = std::pair<std::string_view, Value>;

constexpr std::array<Named<MethodKind>, 4> kKinds = {{{"vote", MethodKind::kVote},
                                                      {"avg", MethodKind::kAvg},
                                                      {"lion", MethodKind::kLion},
                                                      {"adamw", MethodKind::kAdamW}}};
constexpr std::array<Named<signcclTieRule_t>, 4> kTieRules = {{{"zero", signcclTieZero},
                                                               {"positive", signcclTiePositive},
                                                               {"negative", signcclTieNegative},
                                                               {"random", signcclTieRandom}}};
constexpr std::array<Named<signcclZeroRule_t>, 2> kZeroRules = {
    {{"binary", signcclZeroBinary}, {"ternary", signcclZeroTernary}}};
constexpr std::array<Named<HeldOut>, 2> kHeldOut = {{{"test", HeldOut::kTest}, {"validation", HeldOut::kValidation}}};
constexpr std::array<Named<Sharding>, 2> kShardings = {{{"own", Sharding::kOwn}, {"whole", Sharding::kWhole}}};

/// Turns a name into its value, and says what is allowed where it knows no such name.
template <typename Value, std::size_t kCount>
CLI::Validator oneOf(const std::array<Named<Value>, kCount>& values) {
  std::string names;
  for (const auto& [name, value] : values) names.append(names.empty() ? "" : ", ").append(name);
  const auto translate = [&values, names](std::string& given) -> std::string {
    const auto found = std::ranges::find(values, given, &Named<Value>::first);
    if (found == values.end()) return "'" + given + "' is not one of " + names;
    given = std::to_string(static_cast<int>(found->second));
    return {};
  };
  return CLI::Validator(translate, "");
}

/// Accepts numbers of `least` and more.
CLI::Validator numberFrom(double least) {
  const auto judge = [least](const std::string& given) -> std::string {
    double value = 0;
    const bool good = CLI::detail::lexical_cast(given, value) && std::isfinite(value) && value >= least;
    return good ? "" : "'" + given + "' is not a number " + (least > 0 ? "above 0" : "of 0 or more");
  };
  return CLI::Validator(judge, "");
}

/// The options that need work before they are Options.
struct MethodChoice {
  std::vector<MethodKind> kinds = {MethodKind::kVote, MethodKind::kAvg, MethodKind::kLion, MethodKind::kAdamW};
  std::vector<signcclTieRule_t> tie_rules = {signcclTieZero, signcclTiePositive, signcclTieNegative, signcclTieRandom};
  std::vector<signcclZeroRule_t> zero_rules = {signcclZeroBinary};
  std::map<MethodKind, HyperParameters> settings;
  int sync_every = 0;
  float beta2 = Method().beta2;
};

void addMethodOptions(CLI::App& app, MethodChoice& choice) {
  constexpr double kAboveZero = std::numeric_limits<float>::min();
  app.add_option("--methods", choice.kinds, "Of vote, avg, lion, adamw; all by default")
      ->delimiter(',')
      ->transform(oneOf(kKinds));
  app.add_option("--tie", choice.tie_rules, "Tie rules of votes, of zero, positive, negative, random; all by default")
      ->delimiter(',')
      ->transform(oneOf(kTieRules));
  app.add_option("--zero", choice.zero_rules, "Zero rules of signs, of binary, ternary; binary by default")
      ->delimiter(',')
      ->transform(oneOf(kZeroRules));
  app.add_option("--sync-momenta", choice.sync_every,
                 "Steps after which votes and averages give every worker the mean of all momenta; 0: never")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--beta2", choice.beta2, "Decay of the momenta of all methods but AdamW")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  for (const auto& [name, kind] : kKinds) {
    HyperParameters& settings = choice.settings[kind] = tunedSettings(kind);
    const std::string suffix(name);
    app.add_option("--lr-" + suffix, settings.learning_rate, "Learning rate of " + suffix)
        ->capture_default_str()
        ->check(numberFrom(kAboveZero));
    app.add_option("--wd-" + suffix, settings.weight_decay, "Weight decay of " + suffix)
        ->capture_default_str()
        ->check(numberFrom(0));
  }
}

void addRunOptions(CLI::App& app, Options& options) {
  constexpr int kMany = 1'000'000;
  app.add_option("--workers", options.workers, "Numbers of workers, each a thread of one of the processes")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(1, kMostWorkers));
  app.add_option("--seeds", options.seeds, "Seeds of parameters, shards and batches, a run for each")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--shards", options.shardings,
                 "What a worker trains on: its own part of the digits, or the whole; both by default")
      ->delimiter(',')
      ->transform(oneOf(kShardings));
  app.add_option("--steps", options.steps, "Steps of a run")->capture_default_str()->check(CLI::Range(1, kMany));
  app.add_option("--batch", options.batch, "Digits per worker and step")
      ->capture_default_str()
      ->check(CLI::Range(1, kMany));
  app.add_option("--eval-every", options.eval_every, "Steps between points of the curves")
      ->capture_default_str()
      ->check(CLI::Range(1, kMany));
  app.add_option("--held-out", options.held_out, "Digits to measure on: test, or validation to choose settings with")
      ->transform(oneOf(kHeldOut));
  app.add_option_function<std::string>(
         "--algo", [&options](const std::string& name) { options.algorithm = name == "auto" ? "" : name; },
         "How signs travel: an algorithm of SignCCL, or auto to let it choose by modelled time; direct by default, "
         "which sends the fewest bytes")
      ->check(CLI::IsMember({"auto", "oneshot", "direct", "ring", "tree", "knomial", "hierarchical"}));
  app.add_option("--data", options.data_file, "File of digits")->check(CLI::ExistingFile);
  app.add_option("--out", options.out, "Folder for curves.csv, summary.csv and digits.svg");
}

signccl::launch::Job planJob(const signccl::launch::LaunchOptions& asked, const std::vector<int>& workers) {
  try {
    const signccl::launch::Job job = signccl::launch::planJob(asked);
    for (const int number : workers) {
      if (number % job.place.nprocesses == 0) continue;
      throw CLI::ValidationError("--workers", std::to_string(number) + " cannot be shared out to " +
                                                  std::to_string(job.place.nprocesses) +
                                                  " processes, expected a multiple of that");
    }
    return job;
  } catch (const signccl::launch::LaunchError& error) {
    throw CLI::ValidationError(error.what());
  }
}

}  // namespace

std::optional<Options> parseOptions(int argc, const char* const* argv, int& exit_code) {
  CLI::App app(
      "Trains a small network on handwritten digits with N workers that exchange signs, and without a server.");
  Options options;
  options.data_file = SIGNCCL_DIGITS_DATA;
  MethodChoice choice;
  addRunOptions(app, options);
  addMethodOptions(app, choice);
  signccl::launch::LaunchOptions launch;
  signccl::launch::addLaunchOptions(app, launch);
  try {
    app.parse(argc, argv);
    options.job = planJob(launch, options.workers);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error);
    return std::nullopt;
  }
  options.methods = listMethods(choice.kinds, choice.zero_rules, choice.tie_rules);
  for (Method& method : options.methods) {
    method.settings = choice.settings[method.kind];
    method.sync_every = choice.sync_every;
    method.beta2 = choice.beta2;
  }
  return options;
}

}  // namespace digits
