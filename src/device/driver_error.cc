// SPDX-License-Identifier: Apache-2.0
#include "device/driver_error.h"

#include "base/error.h"
#include "base/fork.h"

namespace signccl {

std::string cudaResultText(const CudaDriver& driver, CudaResult result) {
  const char* name = nullptr;
  const char* words = nullptr;
  std::string number = "CUDA error " + std::to_string(static_cast<unsigned>(result));
  if (driver.cuGetErrorName == nullptr || driver.cuGetErrorName(result, &name) != CudaResult::kSuccess) return number;
  if (name == nullptr) return number;
  if (driver.cuGetErrorString == nullptr || driver.cuGetErrorString(result, &words) != CudaResult::kSuccess)
    return name;
  return words == nullptr ? name : std::string(name) + " (" + words + ")";
}

void throwCudaError(const CudaDriver& driver, CudaResult result, const char* call, const std::string& detail) {
  throw Error(signcclUnhandledCudaError,
              std::string(call) + (detail.empty() ? "" : " ") + detail + ": " + cudaResultText(driver, result));
}

void throwForkedCudaError() {
  const int parent = processAtForkDepth(static_cast<std::uint8_t>(forkDepth() - 1));
  throw Error(signcclInvalidUsage,
              "CUDA does not work in this process: it was forked from process " + std::to_string(parent) +
                  ", which had used CUDA before; start processes that use it as new programs, as Python's "
                  "multiprocessing does with the method 'spawn'");
}

}  // namespace signccl
