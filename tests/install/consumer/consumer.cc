// SPDX-License-Identifier: Apache-2.0
// A user's program in C++17: one rank votes with itself.
#include <iostream>

#include "signccl/signccl.hpp"

int main() try {
  const float gradient[3] = {0.5F, -2.0F, 7.0F};
  float vote[3];
  const signccl::Communicator comm(1, signccl::makeUniqueId(), 0);
  comm.vote(gradient, vote, 3);
  if (vote[0] == 1 && vote[1] == -1 && vote[2] == 1) return 0;
  std::cerr << "vote " << vote[0] << ' ' << vote[1] << ' ' << vote[2] << ", expected 1 -1 1\n";
  return 1;
} catch (const signccl::Error& error) {
  std::cerr << signcclGetErrorString(error.result()) << ": " << error.what() << '\n';
  return 1;
}
