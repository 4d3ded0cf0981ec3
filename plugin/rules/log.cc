// SPDX-License-Identifier: Apache-2.0
#include "rules/log.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <exception>
#include <fcntl.h>
#include <sstream>
#include <system_error>
#include <unistd.h>

#include <sys/stat.h>

#include "rules/errors.h"

namespace signccl::rules {
namespace {

constexpr std::array<std::string_view, 5> kLevelNames{"", "VERSION", "WARN", "INFO", "TRACE"};
constexpr std::array<std::string_view, 11> kSubsystems{"INIT", "COLL",      "NET",     "TUNING",    "ENV", "ALLOC",
                                                       "CALL", "BOOTSTRAP", "DESTROY", "INTERPOSE", "ALL"};

/// Whether SIGNCCL_DEBUG_SUBSYS asks for INTERPOSE, which it does where it is not set.
bool isChosen(const std::string& given) {
  if (given.empty()) return true;
  const bool all_but = given.front() == '^';
  bool is_listed = false;
  std::istringstream list(given.substr(all_but ? 1 : 0));
  for (std::string name; std::getline(list, name, ',');) {
    if (std::ranges::find(kSubsystems, name) == kSubsystems.end()) {
      std::string names;
      for (const std::string_view known : kSubsystems) names += " " + std::string(known);
      throw RulesError("SIGNCCL_DEBUG_SUBSYS=" + given,
                       {"expected a comma list, after ^ for all but these, of" + names});
    }
    is_listed = is_listed || name == "INTERPOSE" || name == "ALL";
  }
  return is_listed != all_but;
}

std::string hostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  const std::string full = name.data();
  return full.substr(0, full.find('.'));
}

/// Replaces %h by the host, %p by the process id and %% by a percent sign.
std::string expandFileName(const std::string& pattern) {
  std::string expanded;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char code = pattern[i] == '%' && i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    if (code == 'h') {
      expanded += hostName();
    } else if (code == 'p') {
      expanded += std::to_string(getpid());
    } else if (code == '%') {
      expanded += '%';
    } else {
      expanded += pattern[i];
      continue;
    }
    ++i;
  }
  return expanded;
}

/// Opens the file of the log as the library does: for its owner alone, and through no symbolic link but those of devices.
int openFile(const std::string& pattern) {
  const std::string name = expandFileName(pattern);
  const bool is_device = name.starts_with("/dev/") && !name.starts_with("/dev/shm/");
  const std::string path = is_device ? name : name + ".interpose";
  const int mode = is_device ? 0 : O_CREAT | O_TRUNC | O_NOFOLLOW;
  const int descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_APPEND | mode, S_IRUSR | S_IWUSR);
  if (descriptor >= 0) return descriptor;
  throw RulesError("SIGNCCL_DEBUG_FILE=" + pattern,
                   {"cannot write " + path + ": " + std::generic_category().message(errno)});
}

std::string timeText(const std::string& format) {
  if (format.empty()) return {};
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 200> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), format.c_str(), &local);
  return std::string(text.data(), length) + ' ';
}

}  // namespace

Log::Log(const Environment& environment) {
  const auto level = choiceOf(environment, "SIGNCCL_DEBUG", std::span(kLevelNames).subspan(1));
  if (!level) return;
  level_ = static_cast<LogLevel>(*level + 1);
  // Subsystems choose among lines at INFO and TRACE only.
  if (!isChosen(environment("SIGNCCL_DEBUG_SUBSYS"))) level_ = std::min(level_, LogLevel::kWarn);
  time_format_ = environment("SIGNCCL_DEBUG_TIMESTAMP_FORMAT");
  const std::string file = environment("SIGNCCL_DEBUG_FILE");
  owns_descriptor_ = !file.empty();
  descriptor_ = file.empty() ? STDOUT_FILENO : openFile(file);
}

Log::~Log() {
  if (owns_descriptor_) close(descriptor_);
}

void Log::line(LogLevel level, int rank, std::string_view text) const noexcept {
  if (!isEnabled(level)) return;
  try {
    std::string line =
        timeText(time_format_) + hostName() + ':' + std::to_string(getpid()) + ':' + std::to_string(gettid()) + ' ';
    if (rank != kNoRank) line += '[' + std::to_string(rank) + "] ";
    line += "SIGNCCL ";
    line += kLevelNames.at(static_cast<std::size_t>(level));
    line += ' ';
    line += text;
    line += '\n';
    std::string_view rest = line;
    while (!rest.empty()) {
      const ssize_t written = write(descriptor_, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
  } catch (const std::exception&) {
    return;
  }
}

}  // namespace signccl::rules
