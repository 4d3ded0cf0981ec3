// SPDX-License-Identifier: Apache-2.0
// A wait that ends: with what it waits for, with the abort of its communicator, or with a deadline.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_WAITING_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_WAITING_H_

#include <chrono>
#include <functional>
#include <string>

#include "nccl/back/failure.h"
#include "nccl/back/mirror.h"
#include "rules/log.h"

namespace signccl::nccl_preload {

/// SIGNCCL_TIMEOUT, by default 10 minutes.
std::chrono::milliseconds longestWait();

/// How long, and what is said then.
struct Limit {
  std::chrono::milliseconds time;
  std::string text;  ///< empty: one is made of the wait's own
};

/// A wait has come to its limit.
class TooLate : public Failure {
 public:
  explicit TooLate(const std::string& text) : Failure(Result::kRemoteError, text) {}
};

struct Wait {
  const Record& record;
  const rules::Log* log = nullptr;  ///< for a warning after 10 s, or null
  std::string what;                 ///< "the other ranks", say
  std::string hint;                 ///< what to look at when it takes long
  Limit limit{longestWait(), {}};
};

/// Polls until `isDone` says so. Throws Failure if the record is aborted, and TooLate at the limit; what `isDone`
/// throws goes through.
void waitUntil(const Wait& wait, const std::function<bool()>& isDone);

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_WAITING_H_
