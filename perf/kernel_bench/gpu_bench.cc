// SPDX-License-Identifier: Apache-2.0
// Kernels on a GPU, as a part of what its copies reach: gpu/<kernel>_of_copy. A launch and a copy of as many bytes take
// turns, timed by events; the medians count. Launches go through more memory than a second-level cache holds.
//
// "bytes/s" are bytes read and written by the kernel, "peer_bytes/s" by the copy, "ratio" the kernel's part of it.
#include "kernel_bench/gpu_bench.h"

#include <algorithm>
#include <charconv>
#include <iostream>
#include <memory>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include "cuda/driver.h"
#include "kernel_bench/gpu.h"
#include "kernel_bench/gpu_cases.h"

namespace signccl {
namespace {

/// Several times the second-level cache of any device.
constexpr std::size_t kRotationBytes = std::size_t{512} << 20;
constexpr std::size_t kLaunchesOfRound = 4;

std::unique_ptr<Gpu> gpu;  // from the first benchmark on

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

benchmark::Counter rate(double per_second) {
  return {per_second, benchmark::Counter::kDefaults, benchmark::Counter::kIs1000};
}

/// Launches whose buffers lie one after the other in the device's memory.
std::vector<GpuLaunch> prepareAll(const GpuCase& measured) {
  constexpr std::size_t kMostSets = 64;
  const std::size_t nsets = std::min(gpu->bytes() / measured.set_bytes, kMostSets);
  // Spread over all of the memory, so that few small sets are out of the cache when their turn comes, too.
  const std::size_t distance = gpu->bytes() / nsets / 256 * 256;
  std::vector<GpuLaunch> launches;
  for (std::size_t set = 0; set < nsets; ++set) {
    launches.push_back(measured.prepare(*gpu, gpu->memory() + set * distance));
  }
  return launches;
}

/// Copies, which read and write as much as the kernel, from one half of the memory to the other.
void copyLike(const GpuCase& measured, std::size_t round) {
  const std::size_t half = gpu->bytes() / 2 / 256 * 256;
  const std::size_t bytes = std::min(measured.moved_bytes / 2, half);
  const std::size_t nplaces = std::max<std::size_t>(half / std::max<std::size_t>(bytes, 1), 1);
  const std::size_t at = round % nplaces * bytes / 256 * 256;
  gpu->copy(gpu->memory() + half + at, gpu->memory() + at, bytes);
}

void benchKernel(benchmark::State& state, const GpuCase& measured, std::size_t largest_set_bytes) {
  std::vector<double> kernel_seconds;
  std::vector<double> copy_seconds;
  try {
    if (gpu == nullptr) gpu = std::make_unique<Gpu>(std::max(kRotationBytes, 2 * largest_set_bytes));
    gpu->clearStore();
    const std::vector<GpuLaunch> launches = prepareAll(measured);
    std::size_t turn = 0;
    for (auto _ : state) {
      const double seconds = gpu->secondsOf([&] {
        for (std::size_t i = 0; i < kLaunchesOfRound; ++i) launches[turn++ % launches.size()](*gpu);
      });
      copy_seconds.push_back(gpu->secondsOf([&] {
        for (std::size_t i = 0; i < kLaunchesOfRound; ++i) copyLike(measured, turn + i);
      }));
      kernel_seconds.push_back(seconds);
      state.SetIterationTime(seconds / kLaunchesOfRound);
    }
  } catch (const std::exception& error) {
    state.SkipWithError(error.what());
    return;
  }
  const auto bytes = static_cast<double>(kLaunchesOfRound * measured.moved_bytes);
  state.counters["bytes/s"] = rate(bytes / median(kernel_seconds));
  state.counters["peer_bytes/s"] = rate(bytes / median(copy_seconds));
  state.counters["ratio"] = median(copy_seconds) / median(kernel_seconds);
}

std::string nameOf(const GpuCase& measured) { return "gpu/" + measured.name + "_of_copy"; }

/// A device is only set up if the filter lets one of the cases through.
bool areWanted(const std::vector<GpuCase>& cases) {
  const std::string filter = benchmark::GetBenchmarkFilter();
  if (filter.empty() || filter == "all" || filter.starts_with('-')) return true;
  const std::regex wanted(filter);
  return std::ranges::any_of(cases, [&](const GpuCase& one) { return std::regex_search(nameOf(one), wanted); });
}

template <typename Number>
void take(std::string_view argument, std::string_view name, Number& value) {
  const std::string_view text = argument.substr(name.size());
  Number read = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), read);
  if (error != std::errc() || stop != text.data() + text.size() || read < 1) {
    throw std::runtime_error(std::string(argument) + ": expected a number of at least 1");
  }
  value = read;
}

}  // namespace

GpuBenchOptions takeGpuBenchOptions(int& argc, char** argv) {
  GpuBenchOptions options;
  int kept = 0;
  for (int i = 0; i < argc; ++i) {
    const std::string_view argument = argv[i];
    constexpr std::string_view kElements = "--gpu_elements=";
    constexpr std::string_view kRounds = "--gpu_rounds=";
    if (argument.starts_with(kElements)) {
      take(argument, kElements, options.elements);
    } else if (argument.starts_with(kRounds)) {
      take(argument, kRounds, options.rounds);
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  return options;
}

void addGpuBenchmarks(const GpuBenchOptions& options) {
  const std::vector<GpuCase> cases = gpuCases(options.elements);
  const std::size_t largest = std::ranges::max_element(cases, {}, &GpuCase::set_bytes)->set_bytes;
  if (!areWanted(cases)) return;
  try {
    if (perf::countGpus() == 0) throw perf::NoCuda("the driver has no device");
  } catch (const perf::NoCuda& error) {
    std::cerr << "No benchmarks of a GPU: " << error.what() << '\n';
    return;
  }
  benchmark::AddCustomContext("gpu", Device::get(0)->text());
  benchmark::AddCustomContext("gpu_elements", std::to_string(options.elements));
  for (const GpuCase& measured : cases) {
    benchmark::RegisterBenchmark(nameOf(measured).c_str(), benchKernel, measured, largest)
        ->UseManualTime()
        ->Iterations(options.rounds)
        ->Unit(benchmark::kMicrosecond);
  }
}

void endGpuBenchmarks() { gpu.reset(); }

}  // namespace signccl
