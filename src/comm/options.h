// SPDX-License-Identifier: Apache-2.0
// Settings of one communicator, put together from its config struct and the environment.
#ifndef SIGNCCL_COMM_OPTIONS_H_
#define SIGNCCL_COMM_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/settings.h"
#include "base/trace.h"
#include "comm/group.h"
#include "comm/network_options.h"
#include "device/device_options.h"
#include "kernels/kernels.h"
#include "schedule/algorithm.h"
#include "signccl/signccl.h"
#include "tuning/tuning_table.h"

namespace signccl {

/// How the votes of buffers on devices travel.
enum class DeviceTransport : std::uint8_t {
  kHost,  ///< through pinned memory, by the transport that serves host buffers
  kNccl,  ///< from device to device by NCCL
};

struct CommOptions {
  int nthreads = 0;  ///< 0: the cores of the machine shared among its ranks
  std::chrono::milliseconds timeout{600'000};
  std::optional<Algorithm> algorithm;         ///< nothing: the tuning table or the cost model chooses
  std::shared_ptr<const TuningTable> tuning;  ///< null: none
  std::string name;
  std::size_t slice_bytes = 0;  ///< most sign bytes of a slice; 0: by the number of ranks
  int ranks_per_node = 0;       ///< 0: all ranks on one node
  NetworkOptions network;
  DeviceOptions device;
  DeviceTransport device_transport = DeviceTransport::kHost;
  ncclComm* nccl_parent = nullptr;  ///< from which a communicator of NCCL is split; null: one is made anew
  std::string nccl_library;         ///< libnccl.so.2, or its folder; empty: the one that the dynamic linker finds
  const Kernels* kernels = nullptr;
  TraceWriter* trace = nullptr;  ///< null: no trace

  /// What all ranks must have alike.
  [[nodiscard]] SharedSettings shared() const;
};

/// Starts from `base`, then takes `config` (null: nothing), then the settings, which win. Throws signcclInvalidArgument
/// for a wrong config and signcclInvalidUsage for a wrong setting.
CommOptions makeOptions(const CommOptions& base, const signcclConfig_t* config, const Settings& settings);

}  // namespace signccl

#endif  // SIGNCCL_COMM_OPTIONS_H_
