// SPDX-License-Identifier: Apache-2.0
#include "mpi/back/same_rules.h"

#include <array>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "mpi/back/end_job.h"

namespace signccl::mpi {
namespace {

using std::chrono::steady_clock;

bool isCompleteBefore(steady_clock::time_point end, MPI_Request& request) {
  for (int is_complete = 0;;) {
    PMPI_Test(&request, &is_complete, MPI_STATUS_IGNORE);
    if (is_complete != 0) return true;
    if (steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

// All ranks know that the digests differ, so all gather them.
[[noreturn]] void sayWhoDiffers(std::uint64_t digest, const NextCalls& next) {
  int ranks = 0;
  PMPI_Comm_size(MPI_COMM_WORLD, &ranks);
  std::vector<std::uint64_t> digests(static_cast<std::size_t>(ranks));
  next.all_gather(&digest, 1, MPI_UINT64_T, digests.data(), 1, MPI_UINT64_T, MPI_COMM_WORLD);
  std::size_t other = 1;
  while (other + 1 < digests.size() && digests[other] == digests[0]) ++other;
  endJob("rank " + std::to_string(other) +
         " follows other rules than rank 0, or another mode: expected the same SIGNCCL_RULES and SIGNCCL_INTERPOSE on "
         "all ranks");
}

}  // namespace

void requireSameRules(std::uint64_t digest, std::chrono::milliseconds deadline, const NextCalls& next) {
  const std::array<std::uint64_t, 2> own = {digest, ~digest};
  std::array<std::uint64_t, 2> smallest{};
  MPI_Request request = MPI_REQUEST_NULL;
  const auto end = steady_clock::now() + deadline;
  next.all_reduce_async(own.data(), smallest.data(), 2, MPI_UINT64_T, MPI_MIN, MPI_COMM_WORLD, &request);
  if (!isCompleteBefore(end, request)) {
    endJob("not all ranks have compared their rules within " + std::to_string(deadline.count() / 1000) +
           " s (SIGNCCL_INTERPOSE_TIMEOUT) of MPI_Init(): is every rank started with signccl-run, or has every rank "
           "libsignccl_mpi.so in LD_PRELOAD, the same SIGNCCL_RULES and the same SIGNCCL_INTERPOSE?");
  }
  // The smallest complement is that of the largest digest.
  if (smallest[0] != ~smallest[1]) sayWhoDiffers(digest, next);
}

}  // namespace signccl::mpi
