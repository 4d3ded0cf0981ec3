// SPDX-License-Identifier: Apache-2.0
#include "kernels/emulated_counters.h"

#include "kernels/device/arguments.h"
#include "kernels/device/kernel_list.h"
#include "kernels/lanes/count.h"
#include "kernels/lanes/counters.h"
#include "kernels/lanes/run_on_host.h"

namespace signccl::emulated {
namespace {

/// Blocks of a launch: few, so that warps walk over several tiles.
constexpr size_t kBlocks = 2;

#define SIGNCCL_RUN_KERNEL(name, Arguments, ...)                            \
  void run_##name(const Arguments& arguments) {                             \
    lanes::runOnHost<lanes::DirectMemory, __VA_ARGS__>(arguments, kBlocks); \
  }
SIGNCCL_COUNT_KERNELS(SIGNCCL_RUN_KERNEL)    // NOLINT(readability-identifier-naming)
SIGNCCL_COUNTER_KERNELS(SIGNCCL_RUN_KERNEL)  // NOLINT(readability-identifier-naming)

/// Kernels of exactly so many inputs.
constexpr void (*kCountFew[])(const CountArguments&) = {
    nullptr,      run_count_1,  run_count_2,  run_count_3,  run_count_4,  run_count_5,
    run_count_6,  run_count_7,  run_count_8,  run_count_9,  run_count_10, run_count_11,
    run_count_12, run_count_13, run_count_14, run_count_15, run_count_16};
constexpr int kMostOfFew = 16;

}  // namespace

void count(const Word* const* inputs, int ninputs, size_t nwords, Planes counts) {
  if (ninputs == 0) return;
  const CountArguments arguments{{{nullptr, 0, ninputs}, inputs}, nwords, counts};
  if (ninputs <= kMostOfFew) {
    kCountFew[ninputs](arguments);
  } else if (counts.nplanes <= 8) {
    run_count_8_planes(arguments);
  } else {
    run_count_16_planes(arguments);
  }
}

void merge(ConstPlanes a, ConstPlanes b, size_t nwords, Planes sum) { run_merge({a, b, nwords, sum}); }

void clamp(ConstPlanes in, uint64_t low, uint64_t high, size_t nwords, Planes out) {
  run_clamp({in, low, high, nwords, out});
}

void decide(ConstPlanes counts, uint64_t threshold, bool has_ties, TieBits ties, size_t nwords, Word* positive,
            Word* nonnegative) {
  run_decide({counts, {threshold, has_ties, ties, positive, nonnegative}, nwords});
}

void restoreTop(ConstPlanes low, const Word* own_positive, const Word* own_nonnegative, size_t nwords, Word* top) {
  run_restore_top({low, own_positive, own_nonnegative, nwords, top});
}

}  // namespace signccl::emulated
