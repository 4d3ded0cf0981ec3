// SPDX-License-Identifier: Apache-2.0
// Which instances this build has, and which of them this machine can run.
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "kernels/instances.h"
#include "kernels/kernels.h"

namespace signccl {
namespace {

// SIGNCCL_KERNELS_* are set by CMake for the files that it adds.
const Kernels* const kBuilt[] = {
#if defined(SIGNCCL_KERNELS_AVX512)
    &kAvx512Kernels,
#endif
#if defined(SIGNCCL_KERNELS_AVX2)
    &kAvx2Kernels,
#endif
#if defined(SIGNCCL_KERNELS_NEON)
    &kNeonKernels,
#endif
    &kScalarKernels,
};
constexpr size_t kNumBuilt = sizeof(kBuilt) / sizeof(kBuilt[0]);

struct Supported {
  const Kernels* instances[kNumBuilt];
  size_t count = 0;

  Supported() {
    for (const Kernels* kernels : kBuilt) {
      if (kernels->supported()) instances[count++] = kernels;
    }
  }
};

#if defined(__x86_64__)
/// Conversions of float16 in 256-bit registers. Clang 14 does not let __builtin_cpu_supports ask for them.
bool hasF16c() {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

}  // namespace

bool everySupported() { return true; }

#if defined(__x86_64__)
// __builtin_cpu_supports also asks whether the operating system saves the registers.
bool avx2Supported() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0 && hasF16c();
}

bool avx512Supported() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
}
#endif

KernelsList builtKernels() { return {kBuilt, kNumBuilt}; }

KernelsList supportedKernels() {
  static const Supported supported;
  return {supported.instances, supported.count};
}

const Kernels* selectKernels(const char* name) {
  const KernelsList supported = supportedKernels();
  if (name == nullptr || name[0] == '\0') return supported.instances[0];
  for (size_t i = 0; i < supported.count; ++i) {
    if (std::strcmp(supported.instances[i]->name, name) == 0) return supported.instances[i];
  }
  return nullptr;
}

}  // namespace signccl
