// SPDX-License-Identifier: Apache-2.0
#include "base/process_name.h"

#include <array>
#include <unistd.h>

namespace signccl {

std::string hostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  const std::string full = name.data();
  return full.substr(0, full.find('.'));
}

std::string expandFileName(std::string_view pattern) {
  std::string expanded;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char code = pattern[i] == '%' && i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    switch (code) {
      case 'h':
        expanded += hostName();
        break;
      case 'p':
        expanded += std::to_string(getpid());
        break;
      case '%':
        expanded += '%';
        break;
      default:
        expanded += pattern[i];
        continue;
    }
    ++i;
  }
  return expanded;
}

}  // namespace signccl
