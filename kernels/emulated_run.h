// SPDX-License-Identifier: Apache-2.0
// Runs a kernel of a GPU on the host by its number; for emulated*.cc, which include the bodies.
#ifndef SIGNCCL_KERNELS_EMULATED_RUN_H_
#define SIGNCCL_KERNELS_EMULATED_RUN_H_

#include "kernels/device/device_kernels.h"
#include "kernels/lanes/run_on_host.h"

namespace signccl::emulated {

/// Blocks of a launch: few, so that warps walk over several tiles.
inline constexpr size_t kBlocks = 2;

/// For lists of kernel_list.h whose kernels take the same arguments: of all in the list, that with the number `kernel`
/// is run with `arguments`.
#define SIGNCCL_RUN_IF_CHOSEN(name, Arguments, ...) \
  if (kernel == DeviceKernel::name) lanes::runOnHost<lanes::DirectMemory, __VA_ARGS__>(arguments, kBlocks);

}  // namespace signccl::emulated

#endif  // SIGNCCL_KERNELS_EMULATED_RUN_H_
