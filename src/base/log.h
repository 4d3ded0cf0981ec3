// SPDX-License-Identifier: Apache-2.0
// The log, in NCCL's grammar: lines `host:pid:tid [rank] SIGNCCL INFO text`, chosen by SIGNCCL_DEBUG and
// SIGNCCL_DEBUG_SUBSYS. There is one log for each process. A line that nobody asked for costs one relaxed load.
#ifndef SIGNCCL_BASE_LOG_H_
#define SIGNCCL_BASE_LOG_H_

#include <atomic>
#include <cstdint>
#include <exception>
#include <sstream>
#include <string_view>

#include "base/settings.h"
#include "base/types.h"

namespace signccl {

/// Each level prints those before it too.
enum class LogLevel : std::uint8_t { kNone, kVersion, kWarn, kInfo, kTrace };

/// What a line is about. A bit each.
enum class Subsystem : std::uint32_t {
  kInit = 1U << 0,       ///< life of communicators
  kColl = 1U << 1,       ///< each collective
  kNet = 1U << 2,        ///< messages and connections
  kTuning = 1U << 3,     ///< choice of algorithms
  kEnv = 1U << 4,        ///< settings
  kAlloc = 1U << 5,      ///< memory
  kCall = 1U << 6,       ///< calls of the C API
  kBootstrap = 1U << 7,  ///< ranks that find each other
  kDestroy = 1U << 8,    ///< end of communicators
  kInterpose = 1U << 9,  ///< what the preload libraries do; they write these lines themselves (plugin/rules/log.h)
  kAll = (1U << 10) - 1,
};

/// Rank to give for a line that belongs to no rank.
inline constexpr Rank kNoRank = -1;

namespace detail {
/// The LogLevel shifted by 16, and the mask of the subsystems.
extern std::atomic<std::uint32_t> log_filter;
}  // namespace detail

/// Whether such a line is printed. Subsystems choose among lines at INFO and TRACE only.
inline bool logEnabled(LogLevel level, Subsystem subsystem) noexcept {
  const std::uint32_t filter = detail::log_filter.load(std::memory_order_relaxed);
  if ((filter >> 16) < static_cast<std::uint32_t>(level)) return false;
  return level < LogLevel::kInfo || (filter & static_cast<std::uint32_t>(subsystem)) != 0;
}

/// Prints a line if it is enabled. Any thread; does not throw: a line that cannot be written is lost.
void logMessage(LogLevel level, Subsystem subsystem, Rank rank, std::string_view text) noexcept;

/// What log() does where somebody wants the line: out of line, so that a line that nobody wants costs a comparison.
template <typename... Parts>
[[gnu::noinline, gnu::cold]] void logParts(LogLevel level, Subsystem subsystem, Rank rank,
                                           const Parts&... parts) noexcept {
  try {
    std::ostringstream text;
    (text << ... << parts);
    logMessage(level, subsystem, rank, text.view());
  } catch (const std::exception&) {
    logMessage(level, subsystem, rank, "(a line is lost: out of memory)");
  }
}

/// Prints `parts`, one after the other, as a line if it is enabled, and formats nothing otherwise. Any thread; does not
/// throw: a line for which there is no memory is lost.
template <typename... Parts>
inline void log(LogLevel level, Subsystem subsystem, Rank rank, const Parts&... parts) noexcept {
  if (logEnabled(level, subsystem)) logParts(level, subsystem, rank, parts...);
}

/// Sets the log up as the settings say; to be called for each communicator. Where nothing changed since the last call
/// it does nothing; else it logs the settings under ENV. Any thread. Throws signcclInvalidUsage for an unknown level,
/// subsystem or time format, and for a file that cannot be written; the log then stays as it was.
void configureLogging(const Settings& settings);

}  // namespace signccl

#endif  // SIGNCCL_BASE_LOG_H_
