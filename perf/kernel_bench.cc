// kernel_bench: every kernel of every instruction set of this machine, and how they compare with its memory.
// Takes the options of Google Benchmark; --benchmark_filter=memory/ and --benchmark_filter=count/ are the usual ones.
#include <vector>

#include <benchmark/benchmark.h>

#include "kernel_bench/cache_bench.h"
#include "kernel_bench/memory_bench.h"
#include "kernels/kernels.h"

int main(int argc, char** argv) {
  const signccl::KernelsList supported = signccl::supportedKernels();
  const std::vector<const signccl::Kernels*> instances(supported.instances, supported.instances + supported.count);
  signccl::addMemoryBenchmarks(instances);
  signccl::addCacheBenchmarks(instances);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
