// SPDX-License-Identifier: Apache-2.0
#include "kernels/emulated_decode.h"

#include <vector>

#include "kernels/device/arguments.h"
#include "kernels/device/kernel_list.h"
#include "kernels/lanes/decode_avg.h"
#include "kernels/lanes/decode_vote.h"
#include "kernels/lanes/run_on_host.h"

namespace signccl::emulated {
namespace {

/// Blocks of a launch: few, so that warps walk over several tiles.
constexpr size_t kBlocks = 2;

#define SIGNCCL_RUN_KERNEL(name, Arguments, ...)                            \
  void run_##name(const Arguments& arguments) {                             \
    lanes::runOnHost<lanes::DirectMemory, __VA_ARGS__>(arguments, kBlocks); \
  }
SIGNCCL_DECODE_VOTE_KERNELS(SIGNCCL_RUN_KERNEL)  // NOLINT(readability-identifier-naming)
SIGNCCL_DECODE_AVG_KERNELS(SIGNCCL_RUN_KERNEL)   // NOLINT(readability-identifier-naming)

/// A buffer of elements where a GPU could write it: the caller's, or one aligned to 16 bytes that is copied there at
/// the end.
class WritableElements {
 public:
  WritableElements(ElementType type, void* elements, size_t count)
      : elements_(elements), bytes_(elementBytes(type, count)) {
    const size_t alignment = elementBytes(type, 1);
    if (reinterpret_cast<uintptr_t>(elements) % alignment != 0) own_.resize(bytes_ / sizeof(lanes::Quad) + 1);
  }
  ~WritableElements() {
    if (!own_.empty()) __builtin_memcpy(elements_, own_.data(), bytes_);
  }
  WritableElements(const WritableElements&) = delete;
  WritableElements& operator=(const WritableElements&) = delete;

  void* address() { return own_.empty() ? elements_ : own_.data(); }

 private:
  void* elements_;
  size_t bytes_;
  std::vector<lanes::Quad> own_;
};

using RunDecodeVote = void (*)(const DecodeVoteArguments&);

RunDecodeVote voteKernel(ElementType type, bool has_zeros) {
  switch (type) {
    case ElementType::kFloat32:
      return has_zeros ? run_decode_vote_zeros_float32 : run_decode_vote_float32;
    case ElementType::kFloat16:
      return has_zeros ? run_decode_vote_zeros_float16 : run_decode_vote_float16;
    case ElementType::kBFloat16:
      return has_zeros ? run_decode_vote_zeros_bfloat16 : run_decode_vote_bfloat16;
    case ElementType::kFloat64:
      return has_zeros ? run_decode_vote_zeros_float64 : run_decode_vote_float64;
    case ElementType::kInt8:
      return has_zeros ? run_decode_vote_zeros_int8 : run_decode_vote_int8;
    case ElementType::kBits:
      return run_decode_vote_bits;
    case ElementType::kInt16:
    case ElementType::kInt32:
      return nullptr;
  }
  return nullptr;
}

using RunDecodeAvg = void (*)(const DecodeAvgArguments&);

/// The kernels of one width, by how many planes they take: 5, 8, 16.
using AvgKernels = RunDecodeAvg[3];
constexpr AvgKernels kAvg8 = {run_decode_avg_8bit_5_planes, run_decode_avg_8bit_8_planes,
                              run_decode_avg_8bit_16_planes};
constexpr AvgKernels kAvg16 = {run_decode_avg_16bit_5_planes, run_decode_avg_16bit_8_planes,
                               run_decode_avg_16bit_16_planes};
constexpr AvgKernels kAvg32 = {run_decode_avg_32bit_5_planes, run_decode_avg_32bit_8_planes,
                               run_decode_avg_32bit_16_planes};
constexpr AvgKernels kAvg64 = {run_decode_avg_64bit_5_planes, run_decode_avg_64bit_8_planes,
                               run_decode_avg_64bit_16_planes};

RunDecodeAvg avgKernel(ElementType type, int nplanes) {
  const int size = nplanes <= 5 ? 0 : nplanes <= 8 ? 1 : 2;
  switch (type) {
    case ElementType::kInt8:
      return kAvg8[size];
    case ElementType::kFloat16:
    case ElementType::kBFloat16:
    case ElementType::kInt16:
      return kAvg16[size];
    case ElementType::kFloat32:
    case ElementType::kInt32:
      return kAvg32[size];
    case ElementType::kFloat64:
      return kAvg64[size];
    case ElementType::kBits:
      return nullptr;
  }
  return nullptr;
}

}  // namespace

void decodeVote(ElementType type, const Word* positive, const Word* nonnegative, size_t count, void* elements, Store) {
  const RunDecodeVote run = voteKernel(type, nonnegative != nullptr);
  if (run == nullptr) return;
  WritableElements writable(type, elements, count);
  run({positive, nonnegative, count, writable.address(), nullptr});
}

void decodeAvg(ElementType type, ConstPlanes counts, const void* table, size_t count, void* elements, Store) {
  const RunDecodeAvg run = avgKernel(type, counts.nplanes);
  if (run == nullptr) return;
  WritableElements writable(type, elements, count);
  run({counts, table, count, writable.address(), nullptr});
}

}  // namespace signccl::emulated
