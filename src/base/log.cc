// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <spdlog/fmt/chrono.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "base/error.h"
#include "base/private_file.h"
#include "base/process_locks.h"
#include "base/process_name.h"

namespace signccl {

std::atomic<std::uint32_t> detail::log_filter{0};

namespace {

constexpr std::array<std::string_view, 5> kLevelNames{"", "VERSION", "WARN", "INFO", "TRACE"};

struct NamedSubsystem {
  std::string_view name;
  Subsystem subsystem;
};

constexpr std::array kSubsystems = std::to_array<NamedSubsystem>({
    {"INIT", Subsystem::kInit},
    {"COLL", Subsystem::kColl},
    {"NET", Subsystem::kNet},
    {"TUNING", Subsystem::kTuning},
    {"ENV", Subsystem::kEnv},
    {"ALLOC", Subsystem::kAlloc},
    {"CALL", Subsystem::kCall},
    {"BOOTSTRAP", Subsystem::kBootstrap},
    {"DESTROY", Subsystem::kDestroy},
    {"INTERPOSE", Subsystem::kInterpose},
    {"ALL", Subsystem::kAll},
});

constexpr std::uint32_t kDefaultSubsystems =
    static_cast<std::uint32_t>(Subsystem::kInit) | static_cast<std::uint32_t>(Subsystem::kBootstrap) |
    static_cast<std::uint32_t>(Subsystem::kEnv) | static_cast<std::uint32_t>(Subsystem::kInterpose);

/// What the settings ask of the log.
struct LogSettings {
  LogLevel level = LogLevel::kNone;
  std::uint32_t subsystems = kDefaultSubsystems;
  std::string file;                ///< empty: standard output
  std::string time_format;         ///< empty: no time
  std::vector<std::string> notes;  ///< the settings in words

  bool operator==(const LogSettings&) const = default;
};

/// Guarded by ProcessLock::kLog.
struct Log {
  LogSettings settings;
  spdlog::sink_ptr sink;                   ///< null until something is asked for
  std::string sink_file;                   ///< file of the sink, as in LogSettings
  std::unique_ptr<spdlog::logger> logger;  ///< writes to the sink
};

/// The log of the process. Never destroyed: threads may log while the process ends. To be called under its lock, so
/// that no forked child finds it half made.
Log& theLog() {
  static Log& log = *new Log;
  return log;
}

LogLevel levelIn(const Settings& settings) {
  const std::span<const std::string_view> allowed = std::span(kLevelNames).subspan(1);
  const std::string name = settings.choice("SIGNCCL_DEBUG", allowed, "");
  const auto* const found = std::find(kLevelNames.begin(), kLevelNames.end(), name);
  return static_cast<LogLevel>(found - kLevelNames.begin());
}

std::uint32_t subsystemsIn(const Settings& settings) {
  constexpr const char* kName = "SIGNCCL_DEBUG_SUBSYS";
  const std::optional<std::string> given = settings.text(kName);
  if (!given) return kDefaultSubsystems;
  const bool all_but = given->starts_with('^');
  std::uint32_t listed = 0;
  std::istringstream list(given->substr(all_but ? 1 : 0));
  for (std::string name; std::getline(list, name, ',');) {
    const auto* const found = std::ranges::find(kSubsystems, name, &NamedSubsystem::name);
    if (found == kSubsystems.end()) {
      std::string names;
      for (const NamedSubsystem& known : kSubsystems) names += " " + std::string(known.name);
      settings.reject(kName, "a comma list, after ^ for all but these, of" + names);
    }
    listed |= static_cast<std::uint32_t>(found->subsystem);
  }
  return all_but ? static_cast<std::uint32_t>(Subsystem::kAll) & ~listed : listed;
}

/// Writes local time in a strftime format. Throws fmt::format_error for a format that is none.
template <typename Output>
void writeTime(const std::string& format, const std::tm& time, Output output) {
  fmt::format_to(output, fmt::runtime("{:" + format + "}"), time);
}

bool isTimeFormat(const std::string& format) {
  if (format.find_first_of("{}") != std::string::npos) return false;  // would end the format for fmt
  try {
    std::string sample;
    writeTime(format, fmt::localtime(std::time(nullptr)), std::back_inserter(sample));
    return true;
  } catch (const fmt::format_error&) {
    return false;
  }
}

std::string timeFormatIn(const Settings& settings) {
  constexpr const char* kName = "SIGNCCL_DEBUG_TIMESTAMP_FORMAT";
  std::string format = settings.text(kName).value_or("");
  if (!format.empty() && !isTimeFormat(format)) {
    settings.reject(kName, "a strftime format without braces, as in [%F %T]");
  }
  return format;
}

LogSettings logSettingsIn(const Settings& settings) {
  LogSettings wanted;
  wanted.level = levelIn(settings);
  wanted.subsystems = subsystemsIn(settings);
  wanted.file = expandFileName(settings.text("SIGNCCL_DEBUG_FILE").value_or(""));
  wanted.time_format = timeFormatIn(settings);
  for (const Settings::Entry& entry : settings.entries()) {
    wanted.notes.push_back(entry.name + " set by " + entry.origin + " to '" + entry.shownValue() + "'");
  }
  return wanted;
}

class TimeFlag : public spdlog::custom_flag_formatter {
 public:
  explicit TimeFlag(std::string format) : format_(std::move(format)) {}

  // The time that spdlog passes is filled in only for flags of its own.
  void format(const spdlog::details::log_msg& message, const std::tm& /*time*/, spdlog::memory_buf_t& output) override {
    const std::tm time = fmt::localtime(spdlog::log_clock::to_time_t(message.time));
    writeTime(format_, time, std::back_inserter(output));
  }

  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<TimeFlag>(format_);
  }

 private:
  std::string format_;
};

/// spdlog's own opens files by their names, for all to read.
class FileSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit FileSink(const std::string& file) : file_(file, "the log SIGNCCL_DEBUG_FILE") {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    file_.append({line.data(), line.size()});
  }
  void flush_() override {}

  PrivateFile file_;
};

spdlog::sink_ptr makeSink(const std::string& file) {
  if (file.empty()) return std::make_shared<spdlog::sinks::stdout_sink_st>();
  return std::make_shared<FileSink>(file);
}

std::unique_ptr<spdlog::logger> makeLogger(spdlog::sink_ptr sink, const std::string& time_format) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  const char* const time = time_format.empty() ? "" : "%* ";
  formatter->add_flag<TimeFlag>('*', time_format).set_pattern(time + hostName() + ":%P:%t %v");
  auto logger = std::make_unique<spdlog::logger>("signccl", std::move(sink));
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::trace);
  return logger;
}

void logSettings(const Settings& settings, const LogSettings& wanted) {
  log(LogLevel::kVersion, Subsystem::kInit, kNoRank, "version ", SIGNCCL_MAJOR, ".", SIGNCCL_MINOR, ".", SIGNCCL_PATCH);
  for (const std::string& note : wanted.notes) log(LogLevel::kInfo, Subsystem::kEnv, kNoRank, note);
  for (const std::string& name : settings.unknownVariables()) {
    log(LogLevel::kWarn, Subsystem::kEnv, kNoRank, "there is no setting ", name, "; it has no effect");
  }
}

}  // namespace

void logMessage(LogLevel level, Subsystem subsystem, Rank rank, std::string_view text) noexcept {
  if (!logEnabled(level, subsystem)) return;
  try {
    const std::string_view name = kLevelNames.at(static_cast<std::size_t>(level));
    const std::lock_guard lock(processMutex(ProcessLock::kLog));
    Log& log = theLog();
    if (!log.logger) return;
    if (rank == kNoRank) {
      log.logger->info("SIGNCCL {} {}", name, text);
    } else {
      log.logger->info("[{}] SIGNCCL {} {}", rank, name, text);
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "SignCCL cannot log: %s\n", e.what());
  }
}

void configureLogging(const Settings& settings) {
  LogSettings wanted = logSettingsIn(settings);
  {
    const std::lock_guard lock(processMutex(ProcessLock::kLog));
    Log& log = theLog();
    if (wanted == log.settings) return;
    if (wanted.level != LogLevel::kNone) {
      // A file is opened once and goes on, as opening it again would empty it.
      const bool goes_on = log.sink && wanted.file == log.sink_file;
      const spdlog::sink_ptr sink = goes_on ? log.sink : makeSink(wanted.file);
      std::unique_ptr<spdlog::logger> logger = makeLogger(sink, wanted.time_format);
      log.sink_file = wanted.file;
      log.sink = sink;
      log.logger = std::move(logger);
    }
    log.settings = wanted;
    detail::log_filter.store((static_cast<std::uint32_t>(wanted.level) << 16) | wanted.subsystems,
                             std::memory_order_relaxed);
  }
  logSettings(settings, wanted);
}

}  // namespace signccl
