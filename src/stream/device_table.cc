// SPDX-License-Identifier: Apache-2.0
#include "stream/device_table.h"

#include <cstring>

#include "device/driver_error.h"

namespace signccl {

DeviceTable::DeviceTable(const std::shared_ptr<Device>& device, const MeanTable& table)
    : device_(device), values_(device, table.bytes()), copy_(device, table.bytes()) {
  std::memcpy(values_.host(), table.data(), table.bytes());
}

void DeviceTable::upload(CudaStream stream) const {
  const CudaDriver& driver = device_->driver();
  checkCuda(driver, driver.cuMemcpyHtoDAsync(copy_.address(), values_.host(), values_.bytes(), stream),
            "cuMemcpyHtoDAsync", "of a table of ", values_.bytes(), " bytes to ", *device_);
}

}  // namespace signccl
