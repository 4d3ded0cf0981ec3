// SPDX-License-Identifier: Apache-2.0
#include "kernels/emulated.h"

#include <vector>

#include "kernels/device/arguments.h"
#include "kernels/device/kernel_list.h"
#include "kernels/emulated_counters.h"
#include "kernels/emulated_decode.h"
#include "kernels/emulated_lion.h"
#include "kernels/instances.h"
#include "kernels/lanes/encode.h"
#include "kernels/lanes/run_on_host.h"

namespace signccl {
namespace {

/// Blocks of a launch: few, so that warps walk over several tiles.
constexpr size_t kBlocks = 2;

/// A buffer of elements where a GPU could read it: the caller's, or a copy that is aligned to 16 bytes.
class ReadableElements {
 public:
  ReadableElements(ElementType type, const void* elements, size_t count) : address_(elements) {
    const size_t bytes = elementBytes(type, count);
    const size_t alignment = elementBytes(type, 1);
    if (reinterpret_cast<uintptr_t>(elements) % alignment == 0) return;
    copy_.resize(bytes / sizeof(lanes::Quad) + 1);
    __builtin_memcpy(copy_.data(), elements, bytes);
    address_ = copy_.data();
  }
  const void* address() const { return address_; }

 private:
  const void* address_;
  std::vector<lanes::Quad> copy_;
};

#define SIGNCCL_RUN_KERNEL(name, Arguments, ...)                            \
  [[maybe_unused]] void name(const Arguments& arguments) {                  \
    lanes::runOnHost<lanes::DirectMemory, __VA_ARGS__>(arguments, kBlocks); \
  }
SIGNCCL_ENCODE_KERNELS(SIGNCCL_RUN_KERNEL)  // NOLINT(readability-identifier-naming)

void encodeBinary(ElementType type, const void* elements, size_t count, Word* nonnegative) {
  const ReadableElements readable(type, elements, count);
  const EncodeArguments arguments{readable.address(), count, nullptr, nonnegative};
  switch (type) {
    case ElementType::kFloat32:
      return encode_binary_float32(arguments);
    case ElementType::kFloat16:
      return encode_binary_float16(arguments);
    case ElementType::kBFloat16:
      return encode_binary_bfloat16(arguments);
    case ElementType::kFloat64:
      return encode_binary_float64(arguments);
    case ElementType::kInt8:
      return encode_binary_int8(arguments);
    case ElementType::kBits:
      return encode_binary_bits(arguments);
    case ElementType::kInt16:
    case ElementType::kInt32:
      return;
  }
}

void encodeTernary(ElementType type, const void* elements, size_t count, Word* positive, Word* nonnegative) {
  const ReadableElements readable(type, elements, count);
  const EncodeArguments arguments{readable.address(), count, positive, nonnegative};
  switch (type) {
    case ElementType::kFloat32:
      return encode_ternary_float32(arguments);
    case ElementType::kFloat16:
      return encode_ternary_float16(arguments);
    case ElementType::kBFloat16:
      return encode_ternary_bfloat16(arguments);
    case ElementType::kFloat64:
      return encode_ternary_float64(arguments);
    case ElementType::kInt8:
      return encode_ternary_int8(arguments);
    case ElementType::kBits:
      return encode_ternary_bits(arguments);
    case ElementType::kInt16:
    case ElementType::kInt32:
      return;
  }
}

Kernels makeKernels() {
  Kernels kernels = referenceKernels();
  kernels.name = "emulated";
  kernels.encodeBinary = encodeBinary;
  kernels.encodeTernary = encodeTernary;
  kernels.count = emulated::count;
  kernels.merge = emulated::merge;
  kernels.clamp = emulated::clamp;
  kernels.decide = emulated::decide;
  kernels.restoreTop = emulated::restoreTop;
  kernels.decodeVote = emulated::decodeVote;
  kernels.decodeAvg = emulated::decodeAvg;
  kernels.encodeLion = emulated::encodeLion;
  kernels.decodeVoteLion = emulated::decodeVoteLion;
  kernels.decodeAvgLion = emulated::decodeAvgLion;
  return kernels;
}

}  // namespace

const Kernels& emulatedKernels() {
  static const Kernels kernels = makeKernels();
  return kernels;
}

}  // namespace signccl
