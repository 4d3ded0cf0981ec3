// SPDX-License-Identifier: Apache-2.0
#include "kernels/emulated.h"

#include <vector>

#include "kernels/device/arguments.h"
#include "kernels/emulated_counters.h"
#include "kernels/emulated_decode.h"
#include "kernels/emulated_lion.h"
#include "kernels/emulated_run.h"
#include "kernels/instances.h"
#include "kernels/lanes/check_signs.h"
#include "kernels/lanes/encode.h"

namespace signccl {
namespace {

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

void run(DeviceKernel kernel, const EncodeArguments& arguments) {
  using emulated::kBlocks;
  SIGNCCL_ENCODE_KERNELS(SIGNCCL_RUN_IF_CHOSEN)
}

void encodeBinary(ElementType type, const void* elements, size_t count, Word* nonnegative) {
  const ReadableElements readable(type, elements, count);
  run(encodeKernel(type, /*is_ternary=*/false), {readable.address(), count, nullptr, nonnegative});
}

void encodeTernary(ElementType type, const void* elements, size_t count, Word* positive, Word* nonnegative) {
  const ReadableElements readable(type, elements, count);
  run(encodeKernel(type, /*is_ternary=*/true), {readable.address(), count, positive, nonnegative});
}

void run(DeviceKernel kernel, const CheckSignsArguments& arguments) {
  using emulated::kBlocks;
  SIGNCCL_CHECK_SIGNS_KERNELS(SIGNCCL_RUN_IF_CHOSEN)
}

/// A GPU checks elements apart from encoding them.
uint32_t checkSigns(ElementType type, const void* elements, size_t count) {
  const ReadableElements readable(type, elements, count);
  uint32_t met[2] = {};
  run(checkSignsKernel(type), {readable.address(), count, met, 1});
  return (met[0] != 0 ? kMetZeros : 0) | (met[1] != 0 ? kMetOthers : 0);
}

uint32_t encodeSumBinary(ElementType type, const void* elements, size_t count, Word* nonnegative) {
  referenceKernels().encodeSumBinary(type, elements, count, nonnegative);
  return checkSigns(type, elements, count);
}

uint32_t encodeSumTernary(ElementType type, const void* elements, size_t count, Word* positive, Word* nonnegative) {
  referenceKernels().encodeSumTernary(type, elements, count, positive, nonnegative);
  return checkSigns(type, elements, count);
}

Kernels makeKernels() {
  Kernels kernels = referenceKernels();
  kernels.name = "emulated";
  kernels.encodeBinary = encodeBinary;
  kernels.encodeTernary = encodeTernary;
  kernels.encodeSumBinary = encodeSumBinary;
  kernels.encodeSumTernary = encodeSumTernary;
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
