#include "sign_all_reduce_perf/host.h"

#include <array>
#include <ctime>
#include <unistd.h>

namespace signccl::perf {

Host thisHost() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return {name.data(), static_cast<int>(getpid())};
}

std::string timeOfDay() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local)};
}

}  // namespace signccl::perf
