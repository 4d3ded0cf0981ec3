// SPDX-License-Identifier: Apache-2.0
// kernel_bench: every kernel of every instruction set of this machine, and how they compare with its memory.
// Takes the options of Google Benchmark; --benchmark_filter=memory/, count/ and gpu/ are the usual ones. Those of a GPU
// take --gpu_elements=N, elements of a launch (default 2^28), and --gpu_rounds=N (default 30).
#include <exception>
#include <iostream>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernel_bench/cache_bench.h"
#include "kernel_bench/gpu_bench.h"
#include "kernel_bench/memory_bench.h"
#include "kernels/kernels.h"

int main(int argc, char** argv) {
  const signccl::KernelsList supported = signccl::supportedKernels();
  const std::vector<const signccl::Kernels*> instances(supported.instances, supported.instances + supported.count);
  signccl::addMemoryBenchmarks(instances);
  signccl::addCacheBenchmarks(instances);
  try {
    const signccl::GpuBenchOptions gpu_options = signccl::takeGpuBenchOptions(argc, argv);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    signccl::addGpuBenchmarks(gpu_options);
  } catch (const std::exception& error) {
    std::cerr << "kernel_bench: " << error.what() << '\n';
    return 1;
  }
  benchmark::RunSpecifiedBenchmarks();
  signccl::endGpuBenchmarks();
  benchmark::Shutdown();
  return 0;
}
