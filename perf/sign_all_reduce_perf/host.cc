#include "sign_all_reduce_perf/host.h"

#include <array>
#include <ctime>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace signccl::perf {

Host thisHost() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  Host host{name.data(), static_cast<int>(getpid()), {}};
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), host.machine);
  return host;
}

std::vector<Host> gatherHosts(launch::Exchange& exchange) {
  const Host mine = thisHost();
  std::vector<Host> hosts;
  for (const std::string& part :
       exchange.allGather(mine.name + "\n" + std::to_string(mine.pid) + "\n" + mine.machine)) {
    std::istringstream lines(part);
    Host& host = hosts.emplace_back();
    std::getline(lines, host.name);
    lines >> host.pid >> host.machine;
  }
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
