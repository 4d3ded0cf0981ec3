// SPDX-License-Identifier: Apache-2.0
// The Lion steps of one rank: forms signs from gradients and momenta, has them exchanged, and updates parameters.
//
// A step is begun, given its buckets, and finished. If an exchange fails, the step is over, and what it leaves is
// defined: all tensors of its buckets have taken their gradients into the momenta, their signs are kept, and it is
// known which parameters may have changed.
#ifndef SIGNCCL_LION_LION_H_
#define SIGNCCL_LION_LION_H_

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "comm/communicator.h"
#include "lion/kept_signs.h"
#include "lion/step_tensors.h"
#include "lion/tensors.h"

namespace signccl {

/// Used by one thread at a time, which is the one that uses the communicator.
class Lion {
 public:
  /// Throws std::bad_alloc.
  explicit Lion(LionOptions options);

  [[nodiscard]] std::size_t ntensors() const { return options_.tensors.size(); }
  [[nodiscard]] std::size_t ngroups() const { return options_.ngroups; }
  [[nodiscard]] const LionOptions& options() const { return options_; }

  /// Begins a step: takes a call number of `comm`, which must stay until the step is over. `skips`: no parameter of any
  /// rank changes, and no momentum of this one. `in_background`: the communicator's thread carries it out. Throws
  /// signcclInvalidUsage if a step is under way, and std::bad_alloc; no step has
  /// begun then.
  void begin(Communicator& comm, std::span<const LionGroup> groups, bool skips, bool in_background);

  /// Has tensors [first, first + gradients.size()) exchanged as one bucket. Throws signcclInvalidUsage, without effect,
  /// if no step is under way or one of them is in it already; else the error of an exchange of this step, and then the
  /// momenta have taken the gradients all the same.
  void submit(std::size_t first, std::span<const void* const> gradients);

  /// Waits for the buckets and ends the step. True if a rank skips it. Nothing if it goes on after `longest`; nullopt:
  /// waits until it is over. Throws the first error of its exchanges.
  std::optional<bool> finish(std::optional<std::chrono::milliseconds> longest);

  /// Throws signcclInvalidUsage if no step failed, or if parameters may have changed and are not restored.
  void checkRetry(bool are_parameters_restored) const;

  /// Exchanges the signs of a failed step once more, over `comm`, and updates the parameters. True if a rank skips it.
  /// To be called after checkRetry(). Throws like finish().
  bool retry(Communicator& comm);

  /// Waits until the step that is under way has ended, and drops its error.
  void cancel() noexcept;

  [[nodiscard]] bool isUnderWay() const { return state_ == State::kUnderWay; }
  /// True if the last step may have changed the parameters of a tensor.
  [[nodiscard]] bool mayHaveChanged(std::size_t tensor) const {
    return tensors_.all()[tensor].may_have_changed.load(std::memory_order_relaxed);
  }

 private:
  enum class State : std::uint8_t { kIdle, kUnderWay, kFailed };

  struct Bucket {
    std::size_t first = 0;
    std::size_t ntensors = 0;
    Operation* operation = nullptr;  ///< null once it was waited for
  };

  void checkUnderWay() const;
  void queue(Bucket& bucket);
  void noteFailure(const std::exception_ptr& error);
  void encodeRest();
  [[noreturn]] void endFailed();

  const LionOptions options_;
  StepTensors tensors_;
  KeptSigns kept_;

  State state_ = State::kIdle;
  Communicator* comm_ = nullptr;
  std::uint64_t call_ = 0;
  bool skips_ = false;
  bool in_background_ = false;
  bool was_skipped_ = false;
  std::vector<Bucket> buckets_;
  std::size_t buckets_done_ = 0;
  std::vector<Segment> segments_;  ///< scratch of queue()
  std::exception_ptr error_;
};

}  // namespace signccl

#endif  // SIGNCCL_LION_LION_H_
