// SPDX-License-Identifier: Apache-2.0
// The Lion steps of one rank whose parameters and momenta are in the memory of a device: enqueued on a stream.
//
// A bucket is one exchange; see stream_rank.h for its front and its back. Submitting a bucket enqueues its front, and
// the end of the step enqueues the backs of all of them. No function waits for the stream. Signs are not kept: after an
// exchange that failed, momenta have taken their gradients.
#ifndef SIGNCCL_LION_STREAM_LION_H_
#define SIGNCCL_LION_STREAM_LION_H_

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <vector>

#include "lion/lion_kernels.h"
#include "lion/step_tensors.h"
#include "lion/tensors.h"
#include "stream/stream_rank.h"

namespace signccl {

/// What a step on a device is made with.
struct StreamLionStep {
  std::span<const LionGroup> groups;  ///< kInDeviceMemory where `inputs` has it
  bool skips = false;                 ///< this rank skips the step, whatever found_inf is
  CudaStream stream = nullptr;
  DeviceInputs inputs;
  int* skipped = nullptr;  ///< in device memory, or null: receives 1 if a rank skips the step, else 0
};

/// Used by one thread at a time, which is the one that uses the communicator.
class StreamLion {
 public:
  /// `comm` and `streams`, which are of one rank, must outlive it. Throws what LionKernels throws.
  StreamLion(LionOptions options, Communicator& comm, StreamRank& streams);
  /// What streams still use stays.
  ~StreamLion();
  StreamLion(const StreamLion&) = delete;
  StreamLion& operator=(const StreamLion&) = delete;

  [[nodiscard]] const LionOptions& options() const { return options_; }

  /// Begins a step: takes a call number. Throws signcclInvalidUsage if a step is under way or the stream is being
  /// captured, signcclUnhandledCudaError, and std::bad_alloc; no step has begun then.
  void begin(const StreamLionStep& step);

  /// Enqueues the front of tensors [first, first + gradients.size()) as one bucket. Throws signcclInvalidUsage, without
  /// effect, if no step is under way or one of them is in it already; else what StreamRank::enqueueFront() throws, or
  /// the error of an earlier bucket.
  void submit(std::size_t first, std::span<const void* const> gradients);

  /// Enqueues the backs of all buckets, and ends the step. Throws the first error of the step.
  void finish();

  /// Ends a step that is under way, whatever comes of it.
  void cancel() noexcept;

  /// True if the last step may have changed the parameters of a tensor. What the stream comes to later counts.
  [[nodiscard]] bool mayHaveChanged(std::size_t tensor) const {
    return tensors_.all()[tensor].is_submitted && !step_.skips;
  }

 private:
  void checkUnderWay() const;
  void refuseCapture(CudaStream stream) const;
  template <typename Enqueue>
  void attempt(const Enqueue& enqueue) noexcept;
  void tellSkipped();
  void note(const std::exception_ptr& error) noexcept;
  void record() noexcept;

  const LionOptions options_;
  StepTensors tensors_;
  Communicator& comm_;
  StreamRank& streams_;
  LionKernels kernels_;
  CudaEvent last_use_ = nullptr;  ///< recorded behind what streams do with the memory of kernels_

  bool is_under_way_ = false;
  StreamLionStep step_;  ///< the last one
  std::uint64_t call_ = 0;
  std::vector<StreamCall> calls_;  ///< the buckets
  std::vector<Segment> segments_;  ///< scratch of submit()
  std::exception_ptr error_;
};

}  // namespace signccl

#endif  // SIGNCCL_LION_STREAM_LION_H_
