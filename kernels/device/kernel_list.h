// SPDX-License-Identifier: Apache-2.0
// The list of the kernels of a GPU. X(name, Arguments, body...): the entry point signccl_<name> takes Arguments by
// value and runs `body` of kernels/lanes/ over all warps of its launch.
//
// kernels/cuda/*.cu make the entry points from this list, emulated_kernels.h the functions that stand in for them on
// the host, and src/device/ finds them by it.
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

#define SIGNCCL_CHECK_SIGNS_KERNELS(X)                                                \
  X(check_signs_float32, CheckSignsArguments, lanes::CheckSignsBody<Float32Format>)   \
  X(check_signs_float16, CheckSignsArguments, lanes::CheckSignsBody<Float16Format>)   \
  X(check_signs_bfloat16, CheckSignsArguments, lanes::CheckSignsBody<BFloat16Format>) \
  X(check_signs_float64, CheckSignsArguments, lanes::CheckSignsBody<Float64Format>)   \
  X(check_signs_int8, CheckSignsArguments, lanes::CheckSignsBody<Int8Format>)

#define SIGNCCL_COUNT_KERNELS(X)                                          \
  X(count_1, CountArguments, lanes::CountBody<1>)                         \
  X(count_2, CountArguments, lanes::CountBody<2>)                         \
  X(count_3, CountArguments, lanes::CountBody<3>)                         \
  X(count_4, CountArguments, lanes::CountBody<4>)                         \
  X(count_5, CountArguments, lanes::CountBody<5>)                         \
  X(count_6, CountArguments, lanes::CountBody<6>)                         \
  X(count_7, CountArguments, lanes::CountBody<7>)                         \
  X(count_8, CountArguments, lanes::CountBody<8>)                         \
  X(count_9, CountArguments, lanes::CountBody<9>)                         \
  X(count_10, CountArguments, lanes::CountBody<10>)                       \
  X(count_11, CountArguments, lanes::CountBody<11>)                       \
  X(count_12, CountArguments, lanes::CountBody<12>)                       \
  X(count_13, CountArguments, lanes::CountBody<13>)                       \
  X(count_14, CountArguments, lanes::CountBody<14>)                       \
  X(count_15, CountArguments, lanes::CountBody<15>)                       \
  X(count_16, CountArguments, lanes::CountBody<16>)                       \
  X(count_8_planes, CountArguments, lanes::CountManyBody<8, lanes::Quad>) \
  X(count_16_planes, CountArguments, lanes::CountManyBody<16, lanes::Duo>)

#define SIGNCCL_COUNT_DECIDE_KERNELS(X)                                \
  X(count_decide_1, CountDecideArguments, lanes::CountDecideBody<1>)   \
  X(count_decide_2, CountDecideArguments, lanes::CountDecideBody<2>)   \
  X(count_decide_3, CountDecideArguments, lanes::CountDecideBody<3>)   \
  X(count_decide_4, CountDecideArguments, lanes::CountDecideBody<4>)   \
  X(count_decide_5, CountDecideArguments, lanes::CountDecideBody<5>)   \
  X(count_decide_6, CountDecideArguments, lanes::CountDecideBody<6>)   \
  X(count_decide_7, CountDecideArguments, lanes::CountDecideBody<7>)   \
  X(count_decide_8, CountDecideArguments, lanes::CountDecideBody<8>)   \
  X(count_decide_9, CountDecideArguments, lanes::CountDecideBody<9>)   \
  X(count_decide_10, CountDecideArguments, lanes::CountDecideBody<10>) \
  X(count_decide_11, CountDecideArguments, lanes::CountDecideBody<11>) \
  X(count_decide_12, CountDecideArguments, lanes::CountDecideBody<12>) \
  X(count_decide_13, CountDecideArguments, lanes::CountDecideBody<13>) \
  X(count_decide_14, CountDecideArguments, lanes::CountDecideBody<14>) \
  X(count_decide_15, CountDecideArguments, lanes::CountDecideBody<15>) \
  X(count_decide_16, CountDecideArguments, lanes::CountDecideBody<16>)

#define SIGNCCL_COUNTER_KERNELS(X)              \
  X(merge, MergeArguments, lanes::MergeBody)    \
  X(clamp, ClampArguments, lanes::ClampBody)    \
  X(decide, DecideArguments, lanes::DecideBody) \
  X(restore_top, RestoreTopArguments, lanes::RestoreTopBody)

#define SIGNCCL_DECODE_VOTE_KERNELS(X)                                                            \
  X(decode_vote_float32, DecodeVoteArguments, lanes::DecodeVoteBody<Float32Format, false>)        \
  X(decode_vote_float16, DecodeVoteArguments, lanes::DecodeVoteBody<Float16Format, false>)        \
  X(decode_vote_bfloat16, DecodeVoteArguments, lanes::DecodeVoteBody<BFloat16Format, false>)      \
  X(decode_vote_float64, DecodeVoteArguments, lanes::DecodeVoteBody<Float64Format, false>)        \
  X(decode_vote_int8, DecodeVoteArguments, lanes::DecodeVoteBody<Int8Format, false>)              \
  X(decode_vote_bits, DecodeVoteArguments, lanes::DecodeBitsBody)                                 \
  X(decode_vote_zeros_float32, DecodeVoteArguments, lanes::DecodeVoteBody<Float32Format, true>)   \
  X(decode_vote_zeros_float16, DecodeVoteArguments, lanes::DecodeVoteBody<Float16Format, true>)   \
  X(decode_vote_zeros_bfloat16, DecodeVoteArguments, lanes::DecodeVoteBody<BFloat16Format, true>) \
  X(decode_vote_zeros_float64, DecodeVoteArguments, lanes::DecodeVoteBody<Float64Format, true>)   \
  X(decode_vote_zeros_int8, DecodeVoteArguments, lanes::DecodeVoteBody<Int8Format, true>)

#define SIGNCCL_DECODE_AVG_KERNELS(X)                                                   \
  X(decode_sum_8bit, DecodeAvgArguments, lanes::DecodeSumBody)                          \
  X(decode_avg_16bit_5_planes, DecodeAvgArguments, lanes::DecodeAvgBody<uint16_t, 5>)   \
  X(decode_avg_16bit_8_planes, DecodeAvgArguments, lanes::DecodeAvgBody<uint16_t, 8>)   \
  X(decode_avg_16bit_16_planes, DecodeAvgArguments, lanes::DecodeAvgBody<uint16_t, 16>) \
  X(decode_avg_32bit_5_planes, DecodeAvgArguments, lanes::DecodeAvgBody<uint32_t, 5>)   \
  X(decode_avg_32bit_8_planes, DecodeAvgArguments, lanes::DecodeAvgBody<uint32_t, 8>)   \
  X(decode_avg_32bit_16_planes, DecodeAvgArguments, lanes::DecodeAvgBody<uint32_t, 16>) \
  X(decode_avg_64bit_5_planes, DecodeAvgArguments, lanes::DecodeAvgBody<uint64_t, 5>)   \
  X(decode_avg_64bit_8_planes, DecodeAvgArguments, lanes::DecodeAvgBody<uint64_t, 8>)   \
  X(decode_avg_64bit_16_planes, DecodeAvgArguments, lanes::DecodeAvgBody<uint64_t, 16>)

#define SIGNCCL_WAIT_KERNELS(X)                      \
  X(write_word, WordArguments, lanes::WriteWordBody) \
  X(wait_word, WordArguments, lanes::WaitWordBody)

#define SIGNCCL_REPLAY_KERNELS(X)                               \
  X(count_replay, CountReplayArguments, lanes::CountReplayBody) \
  X(compare_replays, CompareReplaysArguments, lanes::CompareReplaysBody)

#define SIGNCCL_DEVICE_KERNELS(X) \
  SIGNCCL_ENCODE_KERNELS(X)       \
  SIGNCCL_CHECK_SIGNS_KERNELS(X)  \
  SIGNCCL_COUNT_KERNELS(X)        \
  SIGNCCL_COUNT_DECIDE_KERNELS(X) \
  SIGNCCL_COUNTER_KERNELS(X)      \
  SIGNCCL_DECODE_VOTE_KERNELS(X)  \
  SIGNCCL_DECODE_AVG_KERNELS(X)   \
  SIGNCCL_LION_KERNELS(X)         \
  SIGNCCL_WAIT_KERNELS(X)         \
  SIGNCCL_REPLAY_KERNELS(X)

#endif  // SIGNCCL_KERNELS_DEVICE_KERNEL_LIST_H_
