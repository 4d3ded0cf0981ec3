// SPDX-License-Identifier: Apache-2.0
#include "kernels/emulated_counters.h"

#include "kernels/device/arguments.h"
#include "kernels/emulated_run.h"
#include "kernels/lanes/count.h"
#include "kernels/lanes/counters.h"

namespace signccl::emulated {
namespace {

void run(DeviceKernel kernel, const CountArguments& arguments){SIGNCCL_COUNT_KERNELS(SIGNCCL_RUN_IF_CHOSEN)}

#define SIGNCCL_RUN_KERNEL(name, Arguments, ...)                            \
  void run_##name(const Arguments& arguments) {                             \
    lanes::runOnHost<lanes::DirectMemory, __VA_ARGS__>(arguments, kBlocks); \
  }
SIGNCCL_COUNTER_KERNELS(SIGNCCL_RUN_KERNEL)  // NOLINT(readability-identifier-naming)

}  // namespace

void count(const Word* const* inputs, int ninputs, size_t nwords, Planes counts) {
  if (ninputs == 0) return;
  run(countKernel(ninputs, counts.nplanes), {{{nullptr, 0, ninputs}, inputs}, nwords, counts});
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
