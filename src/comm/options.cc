// SPDX-License-Identifier: Apache-2.0
#include "comm/options.h"

#include <cstdint>

#include "base/error.h"
#include "base/versioned_struct.h"

namespace signccl {
namespace {

constexpr int kMaxThreads = 1024;
constexpr std::int64_t kMaxTimeoutSeconds = 2'147'483;
constexpr int kMaxChannels = 16;
constexpr std::int64_t kMaxLinkMbit = 100'000'000;
constexpr std::int64_t kMinSliceBytes = 64;
constexpr std::int64_t kMaxSliceBytes = std::int64_t{1} << 30;

void checkRange(const char* field, int value, int min, int max) {
  if (value >= min && value <= max) return;
  throw Error(signcclInvalidArgument, std::string("config.") + field + " is " + std::to_string(value) + ", expected " +
                                          std::to_string(min) + " to " + std::to_string(max));
}

void takeConfig(CommOptions& options, const signcclConfig_t* given) {
  const signcclConfig_t config = readVersioned(given, "config");
  if (config.nThreads != SIGNCCL_CONFIG_UNDEF_INT) {
    checkRange("nThreads", config.nThreads, 1, kMaxThreads);
    options.nthreads = config.nThreads;
  }
  if (config.timeoutMs != SIGNCCL_CONFIG_UNDEF_INT) {
    checkRange("timeoutMs", config.timeoutMs, 1, INT_MAX);
    options.timeout = std::chrono::milliseconds(config.timeoutMs);
  }
  if (config.algorithm != nullptr) {
    options.algorithm = parseAlgorithm(config.algorithm);
    if (!options.algorithm) {
      throw Error(signcclInvalidArgument,
                  "config.algorithm is '" + std::string(config.algorithm) + "', expected one of " + algorithmNames());
    }
  }
  if (config.commName != nullptr) options.name = config.commName;
}

void takeSettings(CommOptions& options, const Settings& settings) {
  options.nthreads = static_cast<int>(settings.integer("SIGNCCL_NTHREADS", options.nthreads, 1, kMaxThreads));
  if (settings.text("SIGNCCL_TIMEOUT")) {
    options.timeout = std::chrono::seconds(settings.integer("SIGNCCL_TIMEOUT", 0, 1, kMaxTimeoutSeconds));
  }
  if (const auto name = settings.text("SIGNCCL_ALGO")) {
    options.algorithm = parseAlgorithm(*name);
    if (!options.algorithm) settings.reject("SIGNCCL_ALGO", "one of " + algorithmNames());
  }
  if (const auto path = settings.text("SIGNCCL_TUNING_FILE")) options.tuning = TuningTable::read(*path);
  if (settings.text("SIGNCCL_SLICE_BYTES")) {
    options.slice_bytes =
        static_cast<std::size_t>(settings.integer("SIGNCCL_SLICE_BYTES", 0, kMinSliceBytes, kMaxSliceBytes));
  }
  options.ranks_per_node =
      static_cast<int>(settings.integer("SIGNCCL_RANKS_PER_NODE", options.ranks_per_node, 1, kMaxRanks));
  options.network.socket_ifname = settings.text("SIGNCCL_SOCKET_IFNAME");
  options.network.host_id = settings.text("SIGNCCL_HOSTID");
  options.network.ucx_library = settings.text("SIGNCCL_UCX_LIBRARY").value_or("");
  options.network.nchannels = static_cast<int>(settings.integer("SIGNCCL_NCHANNELS", 1, 1, kMaxChannels));
  if (settings.text("SIGNCCL_LINK_MBIT")) {
    options.network.link_mbit = static_cast<std::uint32_t>(settings.integer("SIGNCCL_LINK_MBIT", 0, 1, kMaxLinkMbit));
  }
  options.device.kernel_file = settings.text("SIGNCCL_CUDA_LIBRARY").value_or("");
  if (settings.text("SIGNCCL_CUDA_WAIT")) {
    constexpr std::string_view kWays[] = {"memory", "kernel"};
    options.device.words = settings.choice("SIGNCCL_CUDA_WAIT", kWays, "memory") == "kernel"
                               ? StreamWords::kKernels
                               : StreamWords::kMemoryOperations;
  }
  if (settings.text("SIGNCCL_TRANSPORT")) {
    constexpr std::string_view kTransports[] = {"host", "nccl"};
    options.device_transport = settings.choice("SIGNCCL_TRANSPORT", kTransports, "host") == "nccl"
                                   ? DeviceTransport::kNccl
                                   : DeviceTransport::kHost;
  }
  options.nccl_library = settings.text("SIGNCCL_NCCL_LIBRARY").value_or("");
  const auto kernels = settings.text("SIGNCCL_KERNELS");
  options.kernels = selectKernels(kernels ? kernels->c_str() : nullptr);
  if (options.kernels == nullptr) {
    std::string names;
    const KernelsList supported = supportedKernels();
    for (std::size_t i = 0; i < supported.count; ++i)
      names += (i == 0 ? "" : ", ") + std::string(supported.instances[i]->name);
    settings.reject("SIGNCCL_KERNELS", "one that this machine supports: " + names);
  }
  options.trace = TraceWriter::open(settings);
}

}  // namespace

SharedSettings CommOptions::shared() const {
  return {{"SIGNCCL_ALGO", algorithm ? std::string(algorithmName(*algorithm)) : "unset"},
          {"SIGNCCL_SLICE_BYTES", slice_bytes == 0 ? "unset" : std::to_string(slice_bytes)},
          {"SIGNCCL_NCHANNELS", std::to_string(network.nchannels)},
          {"SIGNCCL_RANKS_PER_NODE", ranks_per_node == 0 ? "unset" : std::to_string(ranks_per_node)},
          {"SIGNCCL_TUNING_FILE", tuning ? "a file with digest " + tuning->digest() : "unset"},
          {"SIGNCCL_TRANSPORT", device_transport == DeviceTransport::kNccl ? "nccl" : "host"}};
}

CommOptions makeOptions(const CommOptions& base, const signcclConfig_t* config, const Settings& settings) {
  CommOptions options = base;
  if (config != nullptr) takeConfig(options, config);
  takeSettings(options, settings);
  return options;
}

}  // namespace signccl
