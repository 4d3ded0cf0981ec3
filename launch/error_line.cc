// SPDX-License-Identifier: Apache-2.0
#include "launch/error_line.h"

#include <iostream>

namespace signccl::launch {

void printErrorLine(const std::string& program, const std::string& text) {
  std::string line = program;
  line += ": ";
  line += text;
  line += '\n';
  std::cerr << line;
}

}  // namespace signccl::launch
