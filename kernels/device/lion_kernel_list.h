// SPDX-License-Identifier: Apache-2.0
// The kernels of a Lion step, for kernel_list.h: what sets it up, encoding for every type of gradients and of momenta,
// decoding for every type of parameters.
#ifndef SIGNCCL_KERNELS_DEVICE_LION_KERNEL_LIST_H_
#define SIGNCCL_KERNELS_DEVICE_LION_KERNEL_LIST_H_

// Momenta of one type: X(lion_encode_<signs>_<gradients>_<momenta>, ...).
#define SIGNCCL_LION_ENCODE_KERNELS_OF(X, signs, kTernary, momenta, kMomentum)  \
  X(lion_encode_##signs##_float32_##momenta, LionEncodeArguments,               \
    lanes::LionEncodeBody<FloatType::kFloat32, FloatType::kMomentum, kTernary>) \
  X(lion_encode_##signs##_float16_##momenta, LionEncodeArguments,               \
    lanes::LionEncodeBody<FloatType::kFloat16, FloatType::kMomentum, kTernary>) \
  X(lion_encode_##signs##_bfloat16_##momenta, LionEncodeArguments,              \
    lanes::LionEncodeBody<FloatType::kBFloat16, FloatType::kMomentum, kTernary>)

#define SIGNCCL_LION_ENCODE_KERNELS(X)                                  \
  SIGNCCL_LION_ENCODE_KERNELS_OF(X, binary, false, float32, kFloat32)   \
  SIGNCCL_LION_ENCODE_KERNELS_OF(X, binary, false, float16, kFloat16)   \
  SIGNCCL_LION_ENCODE_KERNELS_OF(X, binary, false, bfloat16, kBFloat16) \
  SIGNCCL_LION_ENCODE_KERNELS_OF(X, ternary, true, float32, kFloat32)   \
  SIGNCCL_LION_ENCODE_KERNELS_OF(X, ternary, true, float16, kFloat16)   \
  SIGNCCL_LION_ENCODE_KERNELS_OF(X, ternary, true, bfloat16, kBFloat16)

// Directions of one kind: X(lion_decode_<directions>_<parameters>, ...). Means are for up to 8 or 16 planes.
#define SIGNCCL_LION_DECODE_KERNELS_OF(X, directions, Arguments, ...)           \
  X(lion_decode_##directions##_float32, Arguments,                              \
    lanes::LionDecodeBody<__VA_ARGS__, lanes::ToNearest<FloatType::kFloat32>>)  \
  X(lion_decode_##directions##_float16, Arguments,                              \
    lanes::LionDecodeBody<__VA_ARGS__, lanes::ToNearest<FloatType::kFloat16>>)  \
  X(lion_decode_##directions##_bfloat16, Arguments,                             \
    lanes::LionDecodeBody<__VA_ARGS__, lanes::ToNearest<FloatType::kBFloat16>>) \
  X(lion_decode_##directions##_bfloat16_stochastic, Arguments, lanes::LionDecodeBody<__VA_ARGS__, lanes::ByChance>)

#define SIGNCCL_LION_DECODE_KERNELS(X)                                                          \
  SIGNCCL_LION_DECODE_KERNELS_OF(X, vote, LionVoteArguments, lanes::VoteDirections<false>)      \
  SIGNCCL_LION_DECODE_KERNELS_OF(X, vote_zeros, LionVoteArguments, lanes::VoteDirections<true>) \
  SIGNCCL_LION_DECODE_KERNELS_OF(X, avg8, LionAvgArguments, lanes::AvgDirections<8>)            \
  SIGNCCL_LION_DECODE_KERNELS_OF(X, avg16, LionAvgArguments, lanes::AvgDirections<16>)

#define SIGNCCL_LION_BEGIN_KERNELS(X)                     \
  X(lion_begin, LionBeginArguments, lanes::LionBeginBody) \
  X(lion_gradients, LionGradientsArguments, lanes::LionGradientsBody)

#define SIGNCCL_LION_KERNELS(X) \
  SIGNCCL_LION_BEGIN_KERNELS(X) SIGNCCL_LION_ENCODE_KERNELS(X) SIGNCCL_LION_DECODE_KERNELS(X)

#endif  // SIGNCCL_KERNELS_DEVICE_LION_KERNEL_LIST_H_
