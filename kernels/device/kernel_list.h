// The list of the kernels of a GPU. X(name, Arguments, body...): the entry point signccl_<name> takes Arguments by value
// and runs `body` of kernels/lanes/ over all warps of its launch.
//
// kernels/cuda/*.cu make the entry points from this list, emulated_kernels.h the functions that stand in for them on the
// host, and src/device/ finds them by it.
#ifndef SIGNCCL_KERNELS_DEVICE_KERNEL_LIST_H_
#define SIGNCCL_KERNELS_DEVICE_KERNEL_LIST_H_

#include "kernels/device/lion_kernel_list.h"

#define SIGNCCL_ENCODE_KERNELS(X)                                                      \
  X(encode_binary_float32, EncodeArguments, lanes::EncodeBody<Float32Format, false>)   \
  X(encode_binary_float16, EncodeArguments, lanes::EncodeBody<Float16Format, false>)   \
  X(encode_binary_bfloat16, EncodeArguments, lanes::EncodeBody<BFloat16Format, false>) \
  X(encode_binary_float64, EncodeArguments, lanes::EncodeBody<Float64Format, false>)   \
  X(encode_binary_int8, EncodeArguments, lanes::EncodeBody<Int8Format, false>)         \
  X(encode_binary_bits, EncodeArguments, lanes::EncodeBitsBody<false>)                 \
  X(encode_ternary_float32, EncodeArguments, lanes::EncodeBody<Float32Format, true>)   \
  X(encode_ternary_float16, EncodeArguments, lanes::EncodeBody<Float16Format, true>)   \
  X(encode_ternary_bfloat16, EncodeArguments, lanes::EncodeBody<BFloat16Format, true>) \
  X(encode_ternary_float64, EncodeArguments, lanes::EncodeBody<Float64Format, true>)   \
  X(encode_ternary_int8, EncodeArguments, lanes::EncodeBody<Int8Format, true>)         \
  X(encode_ternary_bits, EncodeArguments, lanes::EncodeBitsBody<true>)

#define SIGNCCL_DEVICE_KERNELS(X) SIGNCCL_ENCODE_KERNELS(X) SIGNCCL_LION_KERNELS(X)

#endif  // SIGNCCL_KERNELS_DEVICE_KERNEL_LIST_H_
