// SPDX-License-Identifier: Apache-2.0
// The Lion steps of one rank whose parameters and momenta are in the memory of a device: enqueued on a stream.
//
// A bucket is one exchange; see stream_engine.h for its front and its back. Submitting a bucket enqueues its front, and
// the end of the step enqueues the backs of all of them. No function waits for the stream. Signs are not kept: after an
// exchange that failed, momenta have taken their gradients.
//
// A step on a stream that is being captured becomes part of a CUDA graph. What the host knows of it is that of the
// capture in every replay; what is read from device memory, and the number of the step, are those of the replay.
#ifndef SIGNCCL_LION_STREAM_LION_H_
#define SIGNCCL_LION_STREAM_LION_H_

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "device/capture.h"
#include "lion/lion_kernels.h"
#include "lion/step_tensors.h"
#include "lion/tensors.h"
#include "stream/stream_engine.h"

namespace signccl {

/// What a step on a device is made with.
struct StreamLionStep {
  std::span<const LionGroup> groups;  ///< kInDeviceMemory where `inputs` has it
  bool skips = false;                 ///< this rank skips the step, whatever found_inf is
  CudaStream stream = nullptr;
  DeviceInputs inputs;
  int* skipped = nullptr;  ///< in device memory, or null: receives 1 if a rank skips the step, else 0
};

/// The tensors of steps and the kernels that work on them. A graph has some of its own: what later steps do to others
/// must not change its replays, nor the other way round.
struct LionOnDevice {
  LionOnDevice(const std::shared_ptr<StreamDevice>& device, const LionOptions& from)
      : options(from), tensors(options), kernels(device, tensors.all(), options) {}

  const LionOptions options;
  StepTensors tensors;
  LionKernels kernels;
};

/// Used by one thread at a time, which is the one that uses the communicator.
class StreamLion {
 public:
  /// `comm` and `engine`, which are of one rank, must outlive it. Throws what LionKernels throws.
  StreamLion(const LionOptions& options, Communicator& comm, StreamEngine& engine);
  /// What streams still use stays.
  ~StreamLion();
  StreamLion(const StreamLion&) = delete;
  StreamLion& operator=(const StreamLion&) = delete;

  [[nodiscard]] const LionOptions& options() const { return own_->options; }

  /// Begins a step: takes a call number. Throws signcclInvalidUsage if a step is under way, or the stream is being
  /// captured and the engine's calls cannot be; signcclUnhandledCudaError, and std::bad_alloc; no step has begun then.
  void begin(const StreamLionStep& step);

  /// Enqueues the front of tensors [first, first + gradients.size()) as one bucket. Throws signcclInvalidUsage, without
  /// effect, if no step is under way or one of them is in it already. Else it throws the first error of the step: what
  /// StreamEngine::enqueueFront() throws, and signcclInvalidUsage if the stream is not in the capture in which the step
  /// was begun.
  void submit(std::size_t first, std::span<const void* const> gradients);

  /// Enqueues the backs of all buckets, and ends the step. Throws the first error of the step. Throws
  /// signcclInvalidUsage, and the step goes on, if the stream is being captured since the step was begun.
  void finish();

  /// Ends a step that is under way, and drops its error.
  void cancel() noexcept;

  /// True if the last step may have changed the parameters of a tensor, or will when the stream comes to it.
  [[nodiscard]] bool mayHaveChanged(std::size_t tensor) const {
    return own_->tensors.all()[tensor].is_submitted && !step_.skips;
  }

 private:
  void checkUnderWay() const;
  [[nodiscard]] bool isWhereItBegan() const;
  void checkWhereItBegan() const;
  template <typename Enqueue>
  void attempt(const Enqueue& enqueue) noexcept;
  void endBuckets();
  void tellSkipped();
  void note(const std::exception_ptr& error) noexcept;
  void release() noexcept;

  Communicator& comm_;
  StreamEngine& engine_;
  std::shared_ptr<LionOnDevice> own_;  ///< of steps that are not captured; shared with exchanges that are under way
  CudaEvent last_use_ = nullptr;       ///< recorded behind what streams do with own_

  bool is_under_way_ = false;
  StreamLionStep step_;                    ///< the last one
  std::optional<StreamCapture> capture_;   ///< in which it was begun
  std::shared_ptr<LionOnDevice> working_;  ///< own_, or that of the graph; while the step is under way
  std::uint64_t call_ = 0;
  std::vector<std::unique_ptr<EngineCall>> calls_;  ///< the buckets
  std::vector<Segment> segments_;                   ///< scratch of submit()
  std::exception_ptr error_;
};

}  // namespace signccl

#endif  // SIGNCCL_LION_STREAM_LION_H_
