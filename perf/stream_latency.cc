// SPDX-License-Identifier: Apache-2.0
// stream_latency: how long a stream of device 0 and the host take to tell each other something, how fast they exchange
// memory, and whether a kernel sees what the host has written before the word for which the stream waited.
//
// Exit codes: 0 all well; 1 no GPU, CUDA has failed, or a kernel has read old data.
#include <algorithm>
#include <exception>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cuda/driver.h"
#include "stream_latency/measurements.h"

namespace signccl::perf {
namespace {

using Json = nlohmann::ordered_json;

Json roundTrips(const LatencyDevice& gpu, WaitKind kind, int rounds) {
  const RoundTrips measured = measureRoundTrips(gpu, kind, rounds);
  return {{"round trip us", measured.round_trip_us},
          {"enqueue us", measured.enqueue_us},
          {"stale words read by kernels", measured.nstale}};
}

/// `arguments`: in reverse, as CLI11 takes them.
int run(std::vector<std::string> arguments) {
  CLI::App app("Measures how a CUDA stream and the host wait for each other, on device 0.", "stream_latency");
  int rounds = 2000;
  std::size_t copy_bytes = std::size_t{64} << 20;
  bool is_json = false;
  app.add_option("--rounds", rounds, "round trips (default 2000)")->check(CLI::Range(2, 1'000'000));
  app.add_option("--copy-bytes", copy_bytes, "size of a copy (default 64 Mi)")->check(CLI::Range(1, 1 << 30));
  app.add_flag("--json", is_json, "print JSON");
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  if (countGpus() == 0) throw NoCuda("the driver has no device");
  LatencyDevice gpu;
  Json report = {{"gpu", gpu.device().text()}, {"has stream memory operations", gpu.hasMemoryOperations()}};
  if (gpu.hasMemoryOperations()) report["memory operations"] = roundTrips(gpu, WaitKind::kMemoryOperations, rounds);
  report["kernels"] = roundTrips(gpu, WaitKind::kKernels, rounds);
  report["launch us"] = measureLaunchUs(gpu, rounds);
  const CopyRates rates = measureCopies(gpu, copy_bytes);
  report["copy GB/s"] = {{"host to device", rates.to_device}, {"device to host", rates.to_host}};
  std::cout << report.dump(is_json ? -1 : 2) << '\n';
  for (const char* kind : {"memory operations", "kernels"}) {
    if (report.contains(kind) && report[kind]["stale words read by kernels"] != 0) {
      throw std::runtime_error(std::string(kind) + ": a kernel has read what the host had written before");
    }
  }
  return 0;
}

}  // namespace
}  // namespace signccl::perf

int main(int argc, char** argv) {
  try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    std::ranges::reverse(arguments);
    return signccl::perf::run(std::move(arguments));
  } catch (const std::exception& error) {
    std::cerr << "stream_latency: " << error.what() << '\n';
    return 1;
  }
}
