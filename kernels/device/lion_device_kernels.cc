// SPDX-License-Identifier: Apache-2.0
// Which kernel of a Lion step serves which types.
#include <cstddef>

#include "kernels/device/device_kernels.h"

namespace signccl {
namespace {

constexpr std::size_t indexOf(FloatType type) { return static_cast<std::size_t>(type); }

/// Stochastic rounding comes after the types.
constexpr std::size_t indexOf(FloatType type, bool is_stochastic) { return is_stochastic ? 3 : indexOf(type); }

}  // namespace

DeviceKernel lionEncodeKernel(FloatType gradient, FloatType momentum, bool is_ternary) {
  using enum DeviceKernel;
  /// By signs, momenta and gradients.
  constexpr DeviceKernel kKernels[2][3][3] = {
      {{lion_encode_binary_float32_float32, lion_encode_binary_float16_float32, lion_encode_binary_bfloat16_float32},
       {lion_encode_binary_float32_float16, lion_encode_binary_float16_float16, lion_encode_binary_bfloat16_float16},
       {lion_encode_binary_float32_bfloat16, lion_encode_binary_float16_bfloat16,
        lion_encode_binary_bfloat16_bfloat16}},
      {{lion_encode_ternary_float32_float32, lion_encode_ternary_float16_float32, lion_encode_ternary_bfloat16_float32},
       {lion_encode_ternary_float32_float16, lion_encode_ternary_float16_float16, lion_encode_ternary_bfloat16_float16},
       {lion_encode_ternary_float32_bfloat16, lion_encode_ternary_float16_bfloat16,
        lion_encode_ternary_bfloat16_bfloat16}}};
  return kKernels[is_ternary ? 1 : 0][indexOf(momentum)][indexOf(gradient)];
}

DeviceKernel lionVoteKernel(FloatType parameter, bool is_stochastic, bool has_zeros) {
  using enum DeviceKernel;
  constexpr DeviceKernel kKernels[2][4] = {
      {lion_decode_vote_float32, lion_decode_vote_float16, lion_decode_vote_bfloat16,
       lion_decode_vote_bfloat16_stochastic},
      {lion_decode_vote_zeros_float32, lion_decode_vote_zeros_float16, lion_decode_vote_zeros_bfloat16,
       lion_decode_vote_zeros_bfloat16_stochastic}};
  return kKernels[has_zeros ? 1 : 0][indexOf(parameter, is_stochastic)];
}

DeviceKernel lionAvgKernel(FloatType parameter, bool is_stochastic, int nplanes) {
  using enum DeviceKernel;
  constexpr DeviceKernel kKernels[2][4] = {{lion_decode_avg8_float32, lion_decode_avg8_float16,
                                            lion_decode_avg8_bfloat16, lion_decode_avg8_bfloat16_stochastic},
                                           {lion_decode_avg16_float32, lion_decode_avg16_float16,
                                            lion_decode_avg16_bfloat16, lion_decode_avg16_bfloat16_stochastic}};
  return kKernels[nplanes <= 8 ? 0 : 1][indexOf(parameter, is_stochastic)];
}

}  // namespace signccl
