// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/same_rules.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "nccl/back/failure.h"
#include "nccl/back/gather_buffers.h"
#include "nccl/back/inside.h"
#include "nccl/back/own_stream.h"

namespace signccl::nccl_preload {
namespace {

void abortAll(const RealNccl& nccl, std::span<const Candidate> comms) {
  const InsideNccl inside;
  // The records first: a communicator that is aborted must not be asked for anything.
  for (const Candidate& one : comms) one.record->abort();
  for (const Candidate& one : comms) callReal(nccl.ncclCommAbort, one.comm);
}

/// Aborts communicators at the deadline. From a thread of its own: NCCL may wait for a rank in a call, in which nobody
/// looks at the clock.
class Deadline {
 public:
  Deadline(const RealNccl& nccl, std::span<const Candidate> comms, std::chrono::milliseconds time)
      : thread_([this, &nccl, comms, end = std::chrono::steady_clock::now() + time](const std::stop_token& stop) {
          std::unique_lock lock(mutex_);
          changed_.wait_until(lock, stop, end, [] { return false; });
          if (stop.stop_requested()) return;
          has_passed_ = true;
          abortAll(nccl, comms);
        }) {}

  /// Ends the thread. True if the deadline had passed.
  bool stop() {
    thread_.request_stop();
    thread_.join();
    return has_passed_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool has_passed_ = false;  ///< of the thread until it is joined
  std::jthread thread_;
};

}  // namespace

std::string textAfter(std::chrono::milliseconds deadline) {
  return "not all ranks have compared their rules within " + std::to_string(deadline.count() / 1000) +
         " s (SIGNCCL_INTERPOSE_TIMEOUT) of making the communicator: is every rank started with signccl-run, or has "
         "every rank the preload library, the same SIGNCCL_RULES and the same SIGNCCL_INTERPOSE?";
}

void compareOnOwnStreams(const Surroundings& around, std::span<const Candidate> candidates, const Limit& limit) {
  std::deque<OwnStream> streams;
  std::vector<Candidate> own(candidates.begin(), candidates.end());
  for (Candidate& one : own) one.stream = streams.emplace_back(deviceOf(around.nccl, one.comm)).get();
  std::deque<GatherBuffers> buffers;
  introduce(around, own, UniqueIds::kNone, buffers, limit);
  for (const GatherBuffers& one : buffers) compare(one.introductions());
}

void requireSameRules(const Surroundings& around, std::span<const Candidate> comms,
                      std::chrono::milliseconds deadline) {
  Deadline watch(around.nccl, comms, deadline);
  try {
    compareOnOwnStreams(around, comms, {longestWait(), {}});
  } catch (const Failure&) {
    if (watch.stop()) throw Failure(Result::kRemoteError, textAfter(deadline));
    abortAll(around.nccl, comms);
    throw;
  }
  // The ranks had come, but the communicators are gone.
  if (watch.stop()) throw Failure(Result::kRemoteError, textAfter(deadline));
}

}  // namespace signccl::nccl_preload
