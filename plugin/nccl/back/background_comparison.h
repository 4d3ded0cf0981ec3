// SPDX-License-Identifier: Apache-2.0
// A communicator that does not block is finished some time after the call that makes it, on each rank at another time.
// Its ranks compare their rules at once when it is, whatever their programs do meanwhile: in a thread for each.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_BACKGROUND_COMPARISON_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_BACKGROUND_COMPARISON_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <thread>

#include "nccl/back/failure.h"
#include "nccl/back/introduce.h"

namespace signccl::nccl_preload {

/// Owned by the record of its communicator, which must not be used while it is under way: NCCL allows one thread at a
/// time, and programs wait as long as ncclCommGetAsyncError() says that the communicator is in progress.
class BackgroundComparison {
 public:
  enum class State : std::uint8_t {
    kUnderWay,
    kDone,  ///< the rules are the same, or NCCL could not make the communicator, as it says itself
    kFailed
  };

  /// `onEnd` is called by the thread, with what is wrong, or nothing: the rules differ or cannot be read on some rank;
  /// a rank has not come within `deadline` of the end of NCCL's work; or CUDA or NCCL failed. `record` owns this.
  BackgroundComparison(const Surroundings& around, Comm comm, Record& record, std::chrono::milliseconds deadline,
                       std::function<void(const std::optional<Failure>&)> onEnd);
  /// Waits for the thread, which ends soon once the record is aborted.
  ~BackgroundComparison();
  BackgroundComparison(const BackgroundComparison&) = delete;
  BackgroundComparison& operator=(const BackgroundComparison&) = delete;

  [[nodiscard]] State state() const { return state_; }

  /// Whether a kernel of NCCL may still wait for a rank that has not come.
  [[nodiscard]] bool isLeftWaiting() const { return state_ == State::kFailed && is_late_; }

 private:
  /// Returns what is wrong.
  std::optional<Failure> run(const Surroundings& around, const Candidate& candidate,
                             std::chrono::milliseconds deadline);

  std::atomic<State> state_ = State::kUnderWay;
  std::atomic<bool> is_late_ = false;
  std::jthread thread_;
};

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_BACKGROUND_COMPARISON_H_
