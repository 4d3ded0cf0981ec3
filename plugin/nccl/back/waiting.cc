// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/waiting.h"

#include <cstdlib>
#include <thread>

#include "rules/environment.h"

namespace signccl::nccl_preload {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kDefaultLongest = std::chrono::minutes(10);
constexpr milliseconds kBeforeWarning = std::chrono::seconds(10);

std::string secondsText(milliseconds time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

}  // namespace

milliseconds longestWait() {
  // The library says what is wrong with a value that is none.
  const std::string text = rules::environmentVariable("SIGNCCL_TIMEOUT");
  const double seconds = std::strtod(text.c_str(), nullptr);
  const bool is_usable = seconds > 0 && seconds < 1e6;
  return is_usable ? milliseconds(static_cast<long>(seconds * 1000)) : kDefaultLongest;
}

void waitUntil(const Wait& wait, const std::function<bool()>& isDone) {
  const auto begin = steady_clock::now();
  auto pause = std::chrono::microseconds(5);
  bool has_warned = false;
  while (true) {
    // First, since a communicator that was aborted must not be asked for anything.
    if (wait.record.isAborted()) throw Failure(Result::kInvalidUsage, "the communicator was aborted meanwhile");
    if (isDone()) return;
    const auto elapsed = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
    if (elapsed > wait.limit.time) {
      throw TooLate(wait.limit.text.empty() ? "waited " + secondsText(wait.limit.time) + " (SIGNCCL_TIMEOUT) for " +
                                                  wait.what + "; " + wait.hint
                                            : wait.limit.text);
    }
    if (!has_warned && elapsed > kBeforeWarning && wait.log != nullptr) {
      has_warned = true;
      wait.log->line(rules::LogLevel::kWarn, rules::kNoRank,
                     "waiting for " + wait.what + " since " + secondsText(kBeforeWarning) + "; " + wait.hint);
    }
    std::this_thread::sleep_for(pause);
    if (pause < std::chrono::milliseconds(2)) pause *= 2;
  }
}

}  // namespace signccl::nccl_preload
