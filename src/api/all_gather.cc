// SPDX-License-Identifier: Apache-2.0
// The all-gather of the C API.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "api/group_scope.h"
#include "api/guard.h"
#include "api/handles.h"
#include "api/stream_place.h"

namespace signccl {
namespace {

void checkBytes(std::size_t bytes, int nranks) {
  const std::size_t most = SIGNCCL_ALL_GATHER_MAX_BYTES / static_cast<std::size_t>(nranks);
  if (bytes <= most) return;
  throw Error(signcclInvalidArgument, "bytes is " + std::to_string(bytes) + ", expected at most " +
                                          std::to_string(most) + " for " + std::to_string(nranks) + " rank(s): " +
                                          std::to_string(SIGNCCL_ALL_GATHER_MAX_BYTES) + " of all ranks together");
}

/// Either disjoint, or sendbuff is this rank's place in recvbuff.
void checkOverlap(const void* sendbuff, const void* recvbuff, std::size_t bytes, const Communicator& comm) {
  const auto send = reinterpret_cast<std::uintptr_t>(sendbuff);
  const auto recv = reinterpret_cast<std::uintptr_t>(recvbuff);
  if (send == recv + static_cast<std::size_t>(comm.rank()) * bytes) return;
  if (send >= recv + static_cast<std::size_t>(comm.nranks()) * bytes || recv >= send + bytes) return;
  throw Error(signcclInvalidArgument,
              "sendbuff overlaps recvbuff, expected it to be recvbuff + rank * bytes, which is " +
                  std::to_string(comm.rank()) + " * " + std::to_string(bytes) + ", or apart from it");
}

void gather(const void* sendbuff, void* recvbuff, std::size_t bytes, Communicator& comm) {
  if (GroupScope::current().isOpen()) {
    throw Error(signcclInvalidUsage,
                "signcclCommAllGather() waits for other ranks, expected it outside of signcclGroupStart() and "
                "signcclGroupEnd()");
  }
  checkBytes(bytes, comm.nranks());
  require(bytes == 0 || sendbuff != nullptr, "sendbuff is NULL");
  require(bytes == 0 || recvbuff != nullptr, "recvbuff is NULL");
  constexpr const char* kWhy = "signcclCommAllGather() takes no device memory";
  requireOnHost(sendbuff, bytes, kWhy, [] { return std::string("sendbuff"); });
  requireOnHost(recvbuff, bytes, kWhy, [] { return std::string("recvbuff"); });
  if (bytes > 0) checkOverlap(sendbuff, recvbuff, bytes, comm);
  std::string mine;
  if (bytes > 0) mine.assign(static_cast<const char*>(sendbuff), bytes);
  char* place = static_cast<char*>(recvbuff);
  for (const std::string& part : comm.allGather(std::move(mine))) place = std::copy(part.begin(), part.end(), place);
}

}  // namespace
}  // namespace signccl

using namespace signccl;

signcclResult_t signcclCommAllGather(const void* sendbuff, void* recvbuff, size_t bytes, signcclComm_t comm) {
  return guard(comm, [&] {
    const CommPointer found = findComm(comm);
    gather(sendbuff, recvbuff, bytes, *found->comm);
  });
}
