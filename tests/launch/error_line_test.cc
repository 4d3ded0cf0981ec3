// SPDX-License-Identifier: Apache-2.0
#include "launch/error_line.h"

#include <array>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

namespace signccl::launch {
namespace {

/// What arrives in the first piece that `print` writes to standard error. A pipe of packets keeps pieces apart.
template <typename Print>
std::string firstPiece(const Print& print) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_DIRECT | O_CLOEXEC) != 0) return "no pipe";
  const int saved = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
  print();
  dup2(saved, STDERR_FILENO);
  close(saved);
  close(ends[1]);
  std::array<char, 4096> piece{};
  const ssize_t size = read(ends[0], piece.data(), piece.size());
  close(ends[0]);
  return {piece.data(), size < 0 ? 0 : static_cast<std::size_t>(size)};
}

TEST(ErrorLineTest, ALineIsWrittenInOnePiece) {
  EXPECT_EQ(firstPiece([] { printErrorLine("digits", "rank 1 died"); }), "digits: rank 1 died\n");
}

}  // namespace
}  // namespace signccl::launch
