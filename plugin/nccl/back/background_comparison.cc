// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/background_comparison.h"

#include <exception>
#include <memory>
#include <utility>

#include "nccl/back/cuda.h"
#include "nccl/back/failure.h"
#include "nccl/back/inside.h"
#include "nccl/back/same_rules.h"
#include "nccl/back/waiting.h"

namespace signccl::nccl_preload {
namespace {

/// False if there are no other ranks, or no communicator: NCCL says itself why it cannot make one.
bool hasOtherRanks(const Surroundings& around, const Candidate& candidate) {
  try {
    awaitIdle(around.nccl, candidate);
    int nranks = 0;
    return callReal(around.nccl.ncclCommCount, candidate.comm, &nranks) == Result::kSuccess && nranks > 1;
  } catch (const Failure&) {
    return false;
  }
}

}  // namespace

BackgroundComparison::BackgroundComparison(const Surroundings& around, Comm comm, Record& record,
                                           std::chrono::milliseconds deadline,
                                           std::function<void(const std::optional<Failure>&)> onEnd)
    : thread_([this, around, deadline, on_end = std::move(onEnd),
               // The record outlives the thread, and must not be kept by it.
               candidate = Candidate{comm, std::shared_ptr<Record>(std::shared_ptr<void>(), &record), nullptr}] {
        const std::optional<Failure> failure = run(around, candidate, deadline);
        on_end(failure);
        state_ = failure ? State::kFailed : State::kDone;
      }) {}

BackgroundComparison::~BackgroundComparison() {
  if (thread_.joinable()) thread_.join();
}

std::optional<Failure> BackgroundComparison::run(const Surroundings& around, const Candidate& candidate,
                                                 std::chrono::milliseconds deadline) {
  const InsideNccl inside;
  try {
    if (!hasOtherRanks(around, candidate)) return std::nullopt;
    // NCCL uses the device that is current, and would make a context on device 0 if there were none.
    const DeviceScope scope(deviceOf(around.nccl, candidate.comm));
    compareOnOwnStreams(around, {&candidate, 1}, {.time = deadline, .text = textAfter(deadline)});
    return std::nullopt;
  } catch (const TooLate& failure) {
    is_late_ = true;
    return failure;
  } catch (const Failure& failure) {
    return failure;
  } catch (const std::exception& error) {
    return Failure(Result::kSystemError, error.what());
  }
}

}  // namespace signccl::nccl_preload
