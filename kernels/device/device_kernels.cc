// SPDX-License-Identifier: Apache-2.0
#include "kernels/device/device_kernels.h"

namespace signccl {
namespace {

/// A kernel for each of the types that encode and decodeVote take.
struct SignTypeKernels {
  DeviceKernel float32;
  DeviceKernel float16;
  DeviceKernel bfloat16;
  DeviceKernel float64;
  DeviceKernel int8;
  DeviceKernel bits;
};

DeviceKernel kernelOf(const SignTypeKernels& kernels, ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return kernels.float32;
    case ElementType::kFloat16:
      return kernels.float16;
    case ElementType::kBFloat16:
      return kernels.bfloat16;
    case ElementType::kFloat64:
      return kernels.float64;
    case ElementType::kInt8:
      return kernels.int8;
    case ElementType::kBits:
    case ElementType::kInt16:  // callers have refused these two
    case ElementType::kInt32:
      break;
  }
  return kernels.bits;
}

/// A kernel for few, for some and for many planes.
struct PlanesKernels {
  DeviceKernel few;
  DeviceKernel some;
  DeviceKernel many;
};

DeviceKernel kernelOf(const PlanesKernels& kernels, int nplanes) {
  if (nplanes <= 5) return kernels.few;
  return nplanes <= 8 ? kernels.some : kernels.many;
}

/// A kernel further on in the list.
DeviceKernel numbered(DeviceKernel first, int number) {
  return static_cast<DeviceKernel>(static_cast<int>(first) + number);
}

}  // namespace

DeviceKernel encodeKernel(ElementType type, bool is_ternary) {
  using enum DeviceKernel;
  constexpr SignTypeKernels kBinary = {encode_binary_float32, encode_binary_float16, encode_binary_bfloat16,
                                       encode_binary_float64, encode_binary_int8,    encode_binary_bits};
  constexpr SignTypeKernels kTernary = {encode_ternary_float32, encode_ternary_float16, encode_ternary_bfloat16,
                                        encode_ternary_float64, encode_ternary_int8,    encode_ternary_bits};
  return kernelOf(is_ternary ? kTernary : kBinary, type);
}

DeviceKernel checkSignsKernel(ElementType type) {
  using enum DeviceKernel;
  constexpr SignTypeKernels kChecks = {check_signs_float32, check_signs_float16, check_signs_bfloat16,
                                       check_signs_float64, check_signs_int8,    check_signs_int8};
  return kernelOf(kChecks, type);
}

DeviceKernel countKernel(int ninputs, int nplanes) {
  if (ninputs <= 16) return numbered(DeviceKernel::count_1, ninputs - 1);
  return nplanes <= 8 ? DeviceKernel::count_8_planes : DeviceKernel::count_16_planes;
}
static_assert(static_cast<int>(DeviceKernel::count_16) - static_cast<int>(DeviceKernel::count_1) == 15);

DeviceKernel countDecideKernel(int ninputs) { return numbered(DeviceKernel::count_decide_1, ninputs - 1); }
static_assert(static_cast<int>(DeviceKernel::count_decide_16) - static_cast<int>(DeviceKernel::count_decide_1) == 15);

DeviceKernel decodeVoteKernel(ElementType type, bool has_zeros) {
  using enum DeviceKernel;
  constexpr SignTypeKernels kSigns = {decode_vote_float32, decode_vote_float16, decode_vote_bfloat16,
                                      decode_vote_float64, decode_vote_int8,    decode_vote_bits};
  constexpr SignTypeKernels kWithZeros = {decode_vote_zeros_float32,  decode_vote_zeros_float16,
                                          decode_vote_zeros_bfloat16, decode_vote_zeros_float64,
                                          decode_vote_zeros_int8,     decode_vote_bits};
  return kernelOf(has_zeros ? kWithZeros : kSigns, type);
}

DeviceKernel decodeAvgKernel(ElementType type, int nplanes) {
  using enum DeviceKernel;
  switch (elementBytes(type, 1)) {
    case 1:
      return decode_sum_8bit;
    case 2:
      return kernelOf({decode_avg_16bit_5_planes, decode_avg_16bit_8_planes, decode_avg_16bit_16_planes}, nplanes);
    case 4:
      return kernelOf({decode_avg_32bit_5_planes, decode_avg_32bit_8_planes, decode_avg_32bit_16_planes}, nplanes);
    default:
      return kernelOf({decode_avg_64bit_5_planes, decode_avg_64bit_8_planes, decode_avg_64bit_16_planes}, nplanes);
  }
}

}  // namespace signccl
