// SPDX-License-Identifier: Apache-2.0
// The log of the preload libraries: subsystem INTERPOSE of the library's log, in the same lines
// `host:pid:tid [rank] SIGNCCL INFO text`, without need of the library, which is loaded at the first match only.
#ifndef SIGNCCL_PLUGIN_RULES_LOG_H_
#define SIGNCCL_PLUGIN_RULES_LOG_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "rules/environment.h"

namespace signccl::rules {

/// Each level prints those before it too.
enum class LogLevel : std::uint8_t { kNone, kVersion, kWarn, kInfo, kTrace };

/// Rank to give for a line that belongs to no rank.
inline constexpr int kNoRank = -1;

/// Any thread may use it, and a forked child too: each line is one write.
class Log {
 public:
  /// A log that prints nothing.
  Log() = default;

  /// As SIGNCCL_DEBUG, SIGNCCL_DEBUG_SUBSYS, SIGNCCL_DEBUG_FILE and SIGNCCL_DEBUG_TIMESTAMP_FORMAT of the environment
  /// say; config files are not read. Where the library logs to a file, this log has one of its own with `.interpose`
  /// behind the name, since the library empties its file when it begins. Throws RulesError for a level or subsystem that
  /// is none, and for a file that cannot be written.
  explicit Log(const Environment& environment);

  /// A log at `level` to a file that is open and stays with the caller.
  Log(LogLevel level, int descriptor) : level_(level), descriptor_(descriptor) {}

  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  [[nodiscard]] bool isEnabled(LogLevel level) const noexcept { return level <= level_; }

  /// Prints a line if its level is enabled. Does not throw: a line that cannot be written is lost.
  void line(LogLevel level, int rank, std::string_view text) const noexcept;

 private:
  LogLevel level_ = LogLevel::kNone;
  int descriptor_ = -1;
  bool owns_descriptor_ = false;
  std::string time_format_;
};

}  // namespace signccl::rules

#endif  // SIGNCCL_PLUGIN_RULES_LOG_H_
