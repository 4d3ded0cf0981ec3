// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/host.h"

#include <array>
#include <ctime>
#include <fstream>
#include <unistd.h>

namespace signccl::perf {
namespace {

/// A Host as it travels between processes.
struct HostBytes {
  std::array<char, 256> name{};
  std::array<char, 64> machine{};
  int pid = 0;
};

}  // namespace

Host thisHost() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  Host host{name.data(), static_cast<int>(getpid()), {}, {}};
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), host.machine);
  return host;
}

std::vector<Host> gatherHosts(launch::JobComm& job) {
  const Host mine = thisHost();
  HostBytes bytes{.pid = mine.pid};
  mine.name.copy(bytes.name.data(), bytes.name.size() - 1);
  mine.machine.copy(bytes.machine.data(), bytes.machine.size() - 1);
  std::vector<Host> hosts;
  for (const HostBytes& one : job.allGather(bytes)) hosts.push_back({one.name.data(), one.pid, one.machine.data(), {}});
  return hosts;
}

std::string timeOfDay() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local)};
}

}  // namespace signccl::perf
