// SPDX-License-Identifier: Apache-2.0
#include "run/start.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

#include "rules/errors.h"
#include "rules/log.h"
#include "rules/settings.h"
#include "run/libraries.h"
#include "run/preload_list.h"
#include "run/program.h"

namespace signccl::run {
namespace {

constexpr int kBadRules = 1;

/// Whether a value of SIGNCCL_RULES is the path of a file, and not the rules themselves.
bool isPath(const std::string& value) {
  const std::size_t first = value.find_first_not_of(" \t\r\n");
  return first != std::string::npos && value[first] != '{';
}

/// The rules as the program's processes are to find them: wherever they go, the file stays the same.
std::string rulesValue(const Options& options, const rules::Environment& environment) {
  std::string value = options.rules ? *options.rules : environment("SIGNCCL_RULES");
  return isPath(value) ? std::filesystem::absolute(value).lexically_normal().string() : value;
}

/// The variables that decide, as the program will have them.
rules::Environment environmentOfProgram(const Options& options, const rules::Environment& environment) {
  return [&options, environment, value = rulesValue(options, environment)](const char* name) -> std::string {
    const std::string_view wanted = name;
    if (wanted == "SIGNCCL_RULES") return value;
    if (wanted == "SIGNCCL_INTERPOSE" && options.is_dry) return "dry";
    return environment(name);
  };
}

/// Whether the preload libraries would log at INFO. Throws RulesError if they could not log as the environment asks
/// them to. Opens no file.
bool logsAtInfo(const rules::Environment& environment) {
  const rules::Log log([&](const char* name) {
    return std::string_view(name) == "SIGNCCL_DEBUG_FILE" ? std::string() : environment(name);
  });
  return log.isEnabled(rules::LogLevel::kInfo);
}

/// Adds the lines of a text.
void addLines(std::vector<std::string>& lines, const std::string& text) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

void sayRules(const rules::Settings& settings, const std::string& value, std::vector<std::string>& lines) {
  const auto& all = settings.rules.rules();
  if (settings.mode == rules::Mode::kOff) {
    lines.emplace_back("SIGNCCL_INTERPOSE=off: everything is forwarded");
  } else if (all.empty()) {
    lines.emplace_back("warning: no rules are given, so everything is forwarded; --rules or SIGNCCL_RULES names them");
  } else {
    const std::string origin = isPath(value) ? "of " + value : "given as a text";
    lines.push_back(std::string(settings.mode == rules::Mode::kDry ? "dry run, nothing is taken; " : "") + "rules " +
                    origin + ", digest " + rules::digestText(settings.digest()) + ":");
    for (const rules::Rule& rule : all) lines.push_back("  " + describe(rule));
  }
}

/// A dry run without a report would be of no use.
void askForReport(const rules::Settings& settings, const rules::Environment& environment, Start& start) {
  if (settings.mode != rules::Mode::kDry) return;
  if (!environment("SIGNCCL_DEBUG").empty()) {
    if (!logsAtInfo(environment)) {
      start.lines.emplace_back(
          "warning: SIGNCCL_DEBUG or SIGNCCL_DEBUG_SUBSYS hides the report of the dry run; expected INFO, and "
          "INTERPOSE among the subsystems");
    }
    return;
  }
  start.variables.emplace_back("SIGNCCL_DEBUG", "INFO");
  if (environment("SIGNCCL_DEBUG_SUBSYS").empty()) start.variables.emplace_back("SIGNCCL_DEBUG_SUBSYS", "INTERPOSE");
}

}  // namespace

Start planStart(const Options& options, const rules::Environment& environment,
                const std::filesystem::path& program_folder) {
  Start start;
  const rules::Environment of_program = environmentOfProgram(options, environment);
  std::vector<std::string> problems;
  std::optional<rules::Settings> settings;
  const std::string source = options.rules ? "--rules" : "SIGNCCL_RULES";
  try {
    settings = rules::Settings::load(of_program, source);
    // Rules that are named here are checked although nothing reads them.
    if (options.rules && settings->mode == rules::Mode::kOff) rules::RuleSet::load(of_program("SIGNCCL_RULES"), source);
  } catch (const rules::RulesError& error) {
    addLines(problems, error.what());
  }
  try {
    (void)logsAtInfo(of_program);
  } catch (const rules::RulesError& error) {
    addLines(problems, error.what());
  }
  const Libraries libraries = findLibraries(options.wanted, program_folder);
  addLines(problems, libraries.problem);
  const bool is_good = problems.empty();
  const std::string path = environment("PATH");
  const Program program = findProgram(options.command.front(), path.empty() ? "/bin:/usr/bin" : path);
  addLines(problems, program.problem);
  if (!problems.empty()) {
    start.exit_status = is_good ? program.exit_status : kBadRules;
    start.lines = std::move(problems);
    return start;
  }
  start.program = program.path;
  sayRules(*settings, of_program("SIGNCCL_RULES"), start.lines);
  const std::string list = preloadList(libraries.paths, environment("LD_PRELOAD"));
  start.lines.push_back("preloads " + list + " into " + program.path);
  if (const std::string why = whyPreloadIsIgnored(program.path); !why.empty()) {
    start.lines.push_back("warning: LD_PRELOAD has no effect on this program, so everything is forwarded: " + why);
  }
  start.variables = {{"LD_PRELOAD", list}};
  for (const char* const name : {"SIGNCCL_RULES", "SIGNCCL_INTERPOSE"}) {
    if (const std::string value = of_program(name); !value.empty()) start.variables.emplace_back(name, value);
  }
  askForReport(*settings, environment, start);
  return start;
}

std::optional<std::string> rankOf(const rules::Environment& environment) {
  constexpr std::array kVariables{"RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"};
  for (const char* const name : kVariables) {
    std::string rank = environment(name);
    if (!rank.empty()) return rank;
  }
  return std::nullopt;
}

}  // namespace signccl::run
