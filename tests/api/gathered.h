// SPDX-License-Identifier: Apache-2.0
// An all-gather whose bytes are known, for tests.
#ifndef SIGNCCL_TESTS_API_GATHERED_H_
#define SIGNCCL_TESTS_API_GATHERED_H_

#include <string>

#include "signccl/signccl.h"

namespace signccl {

/// What rank `rank` gives in round `round`.
inline std::string partOf(int rank, std::size_t bytes, unsigned round) {
  std::string part(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) {
    part[i] = static_cast<char>((static_cast<unsigned>(rank) + 1) * 37 + round * 11 + i);
  }
  return part;
}

/// Calls signcclCommAllGather(). Empty if it gave the parts of all; else "CODE: text", or what is wrong.
inline std::string gatherAndCheck(signcclComm_t comm, int rank, int nranks, std::size_t bytes, unsigned round) {
  const std::string mine = partOf(rank, bytes, round);
  // A byte more, which must stay.
  std::string all(static_cast<std::size_t>(nranks) * bytes + 1, '#');
  const signcclResult_t result = signcclCommAllGather(mine.data(), all.data(), bytes, comm);
  if (result != signcclSuccess) return std::to_string(result) + ": " + signcclGetLastError(nullptr);
  std::string expected;
  for (int other = 0; other < nranks; ++other) expected += partOf(other, bytes, round);
  return all == expected + "#" ? "" : "wrong bytes";
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_API_GATHERED_H_
