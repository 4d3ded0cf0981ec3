// SPDX-License-Identifier: Apache-2.0
// The tensors of a Lion object in the memory of a device, as its kernels find them: in tables of those that have the
// same types.
#ifndef SIGNCCL_LION_DEVICE_TENSORS_H_
#define SIGNCCL_LION_DEVICE_TENSORS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "device/memory.h"
#include "kernels/device/lion_tables.h"
#include "lion/step_ends.h"

namespace signccl {

/// Tensors whose momenta, or whose parameters, one kernel works on.
struct TensorTable {
  FloatType type = FloatType::kFloat32;           ///< of the numbers
  FloatType gradient_type = FloatType::kFloat32;  ///< of a table of momenta
  std::vector<std::size_t> tensors;               ///< ascending
  std::vector<LionEntry> entries;                 ///< [tensors]
  std::vector<std::uint32_t> first_tile;          ///< [tensors]
  LionTable on_device;                            ///< the same in device memory
  LionGradients* gradients = nullptr;             ///< of a table of momenta: [tensors] in device memory

  /// Words [begin, end) of a step.
  [[nodiscard]] LionRange rangeOf(std::uint64_t begin, std::uint64_t end) const {
    return lionRangeOf(entries, first_tile, begin, end);
  }
};

/// Used by one thread at a time.
class DeviceTensors {
 public:
  /// Throws what DeviceMemory and PinnedMemory throw.
  DeviceTensors(const std::shared_ptr<Device>& device, std::span<const StepTensor> tensors, std::size_t ngroups);

  /// Enqueues the copy of the tables to the device, where they then are. With the device's context.
  void upload(CudaStream stream) const;

  [[nodiscard]] const std::vector<TensorTable>& momenta() const { return momenta_; }
  [[nodiscard]] const std::vector<TensorTable>& parameters() const { return parameters_; }

  /// In device memory; a kernel writes them.
  [[nodiscard]] LionHyperparameters* groups() const { return groups_; }
  [[nodiscard]] LionStepState* state() const { return state_; }

  /// A number that kernels count up; it begins with 0.
  [[nodiscard]] std::uint64_t* replaysAddress() const;

  /// A word that kernels write and the host reads.
  [[nodiscard]] std::uint32_t* hostSkipsAddress() const { return reinterpret_cast<std::uint32_t*>(pinned_.address()); }
  [[nodiscard]] const std::atomic<std::uint32_t>& hostSkips() const { return *host_skips_; }

 private:
  const std::shared_ptr<Device> device_;
  std::vector<TensorTable> momenta_;
  std::vector<TensorTable> parameters_;
  PinnedMemory pinned_;  ///< the word of hostSkips(), the number of replays, and what upload() copies
  DeviceMemory memory_;
  LionHyperparameters* groups_ = nullptr;
  LionStepState* state_ = nullptr;
  std::atomic<std::uint32_t>* host_skips_ = nullptr;
  std::size_t upload_bytes_ = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_LION_DEVICE_TENSORS_H_
