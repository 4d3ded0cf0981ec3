// SPDX-License-Identifier: Apache-2.0
#include "kernels/emulated_decode.h"

#include <vector>

#include "kernels/complete_counts.h"
#include "kernels/device/arguments.h"
#include "kernels/emulated_counters.h"
#include "kernels/emulated_run.h"
#include "kernels/lanes/decode_avg.h"
#include "kernels/lanes/decode_sum.h"
#include "kernels/lanes/decode_vote.h"

namespace signccl::emulated {
namespace {

void run(DeviceKernel kernel, const DecodeVoteArguments& arguments) {
  SIGNCCL_DECODE_VOTE_KERNELS(SIGNCCL_RUN_IF_CHOSEN)
}

void run(DeviceKernel kernel, const DecodeAvgArguments& arguments) { SIGNCCL_DECODE_AVG_KERNELS(SIGNCCL_RUN_IF_CHOSEN) }

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

}  // namespace

void decodeVote(ElementType type, const Word* positive, const Word* nonnegative, size_t count, void* elements, Store) {
  WritableElements writable(type, elements, count);
  run(decodeVoteKernel(type, nonnegative != nullptr), {positive, nonnegative, count, writable.address(), nullptr});
}

void decodeAvg(ElementType type, Counts counts, const void* table, size_t count, void* elements, Store) {
  WritableElements writable(type, elements, count);
  const CompleteCounts complete(counts, wordsFor(count), restoreTop);
  run(decodeAvgKernel(type, counts.nplanes()), {complete.planes(), table, count, writable.address(), nullptr});
}

}  // namespace signccl::emulated
