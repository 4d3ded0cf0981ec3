// SPDX-License-Identifier: Apache-2.0
// The kernels of a GPU by number, and which one serves which types.
#ifndef SIGNCCL_KERNELS_DEVICE_DEVICE_KERNELS_H_
#define SIGNCCL_KERNELS_DEVICE_DEVICE_KERNELS_H_

#include "kernels/device/kernel_list.h"
#include "kernels/kernels.h"

namespace signccl {

/// In the order of kernel_list.h.
enum class DeviceKernel : uint16_t {
// NOLINTBEGIN(readability-identifier-naming): they are the names of the entry points
#define SIGNCCL_ENUMERATE(name, Arguments, ...) name,
  SIGNCCL_DEVICE_KERNELS(SIGNCCL_ENUMERATE)
#undef SIGNCCL_ENUMERATE
  // NOLINTEND(readability-identifier-naming)
};

/// [DeviceKernel] names of the entry points.
inline constexpr const char* kDeviceKernelNames[] = {
#define SIGNCCL_NAME(name, Arguments, ...) "signccl_" #name,
    SIGNCCL_DEVICE_KERNELS(SIGNCCL_NAME)
#undef SIGNCCL_NAME
};

/// Takes EncodeArguments. `type`: one that encode takes.
DeviceKernel encodeKernel(ElementType type, bool is_ternary);

/// Takes CheckSignsArguments. `type`: a floating-point type or kInt8.
DeviceKernel checkSignsKernel(ElementType type);

/// Takes CountArguments, with so many inputs, at least 1, and planes of counts.
DeviceKernel countKernel(int ninputs, int nplanes);

/// Takes CountDecideArguments, with so many inputs, 1 to 16.
DeviceKernel countDecideKernel(int ninputs);

/// Takes DecodeVoteArguments. `type`: one that decodeVote takes; not kBits if the vote has zeros.
DeviceKernel decodeVoteKernel(ElementType type, bool has_zeros);

/// Takes DecodeAvgArguments. `type`: one that decodeAvg takes.
DeviceKernel decodeAvgKernel(ElementType type, int nplanes);

// For tables of tensors with these types. Types of parameters that are rounded by chance: kBFloat16.

/// Takes LionEncodeArguments.
DeviceKernel lionEncodeKernel(FloatType gradient, FloatType momentum, bool is_ternary);

/// Takes LionVoteArguments.
DeviceKernel lionVoteKernel(FloatType parameter, bool is_stochastic, bool has_zeros);

/// Takes LionAvgArguments.
DeviceKernel lionAvgKernel(FloatType parameter, bool is_stochastic, int nplanes);

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_DEVICE_DEVICE_KERNELS_H_
