// SPDX-License-Identifier: Apache-2.0
// What an average gives for every possible count, where kernels look it up.
#ifndef SIGNCCL_STREAM_DEVICE_TABLE_H_
#define SIGNCCL_STREAM_DEVICE_TABLE_H_

#include <memory>

#include "device/memory.h"
#include "exec/mean_table.h"

namespace signccl {

class DeviceTable {
 public:
  /// The device has the table once upload() is through.
  DeviceTable(const std::shared_ptr<Device>& device, const MeanTable& table);

  /// Enqueues the copy to the device. With the device's context.
  void upload(CudaStream stream) const;

  [[nodiscard]] const void* pointer() const { return copy_.pointer(); }

 private:
  const std::shared_ptr<Device> device_;
  PinnedMemory values_;
  DeviceMemory copy_;
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_DEVICE_TABLE_H_
