// SPDX-License-Identifier: Apache-2.0
// The kernels of Lion steps on a device: one launch for all tensors of a slice that have the same types.
#ifndef SIGNCCL_LION_LION_KERNELS_H_
#define SIGNCCL_LION_LION_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lion/device_tensors.h"
#include "lion/tensors.h"
#include "stream/device_table.h"
#include "stream/end_kernels.h"
#include "stream/stream_device.h"

namespace signccl {

/// What a stream reads from device memory when it comes to a step; null where the host knows it.
struct DeviceInputs {
  const float* learning_rates = nullptr;  ///< [groups]
  const float* weight_decays = nullptr;   ///< [groups]
  const float* found_inf = nullptr;       ///< unless it is zero, the rank skips the step
};

/// What a step is begun with.
struct LionStepInputs {
  std::span<const LionGroup> groups;
  DeviceInputs on_device;
  bool skips = false;
  std::uint64_t call = 0;    ///< its number
  bool is_replayed = false;  ///< it is part of a CUDA graph; the number is that of the first replay
};

/// The sources and sinks of batches are those of step_ends.h, in the order of the tensors. Used by one thread at a
/// time.
class LionKernels final : public EndKernels {
 public:
  /// Throws what DeviceTensors throws.
  LionKernels(std::shared_ptr<StreamDevice> device, std::span<const StepTensor> tensors, const LionOptions& options);

  /// What the next batches belong to.
  void beginStep(const LionStepInputs& step);

  /// The gradients of the next batch, which has tensors [first, first + gradients.size()).
  void setGradients(std::size_t first, std::span<const void* const> gradients);

  void prepare(const Batch& batch, CudaStream stream) override;
  void encode(const Batch& batch, WordRange words, CudaDevicePointer planes, CudaStream stream) const override;
  void decode(const Batch& batch, WordRange words, CudaDevicePointer planes, const DecodeGuards& guards,
              CudaStream stream) const override;

  /// Not 0 once the stream has come to a batch of a step that this rank skips: a word that the host reads, and the same
  /// in device memory.
  [[nodiscard]] const std::atomic<std::uint32_t>& veto() const { return tensors_->hostSkips(); }
  [[nodiscard]] const std::uint32_t* deviceVeto() const { return &tensors_->state()->skips; }

 private:
  /// Addresses of gradients, as the kernels find them.
  struct Gradients {
    std::vector<LionGradients> wanted;   ///< [tensors of the table]
    std::vector<LionGradients> written;  ///< [tensors of the table] in device memory
  };

  void enqueueBegin(CudaStream stream);
  void enqueueGradients(const TensorTable& table, Gradients& gradients, CudaStream stream) const;
  [[nodiscard]] bool isStochastic(FloatType parameter) const {
    return rounds_stochastically_ && parameter == FloatType::kBFloat16;
  }

  const std::shared_ptr<StreamDevice> device_;
  const std::unique_ptr<DeviceTensors> tensors_;
  std::unique_ptr<const DeviceTable> means_;
  const bool rounds_stochastically_;
  bool is_uploaded_ = false;
  bool has_begun_ = false;    ///< the kernel that sets up the step is enqueued
  bool is_replayed_ = false;  ///< the step is part of a CUDA graph
  LionBeginArguments begin_ = {};
  std::vector<LionHyperparameters> groups_;  ///< of the step
  std::size_t first_tensor_ = 0;             ///< of the next batch
  std::size_t end_tensor_ = 0;
  std::vector<Gradients> gradients_;  ///< [tables of momenta]
};

}  // namespace signccl

#endif  // SIGNCCL_LION_LION_KERNELS_H_
