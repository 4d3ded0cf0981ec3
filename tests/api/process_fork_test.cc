// SPDX-License-Identifier: Apache-2.0
// A rank that forks while its communicator is one of several processes: the child can do nothing to the job.
#include <cstdlib>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "processes.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

/// What a child of a rank does with its parent's communicator; true if all is as it should be.
using ChildBody = bool (*)(signcclComm_t comm);

bool holdsInChild(signcclComm_t comm, ChildBody body) {
  const pid_t child = fork();
  if (child == 0) _exit(body(comm) ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Two ranks vote, rank 0 forks a child that runs `body`, and both vote on. `tls`: transports of UCX.
void expectJobGoesOn(const char* tls, ChildBody body) {
  const Processes processes(2, [tls, body](int rank, const signcclUniqueId& id) {
    setenv("UCX_TLS", tls, 1);
    return inGroup(rank, 2, id, nullptr, kLong, [&](signcclComm_t comm) {
      for (const std::size_t count : {4U, 100'000U}) {
        const signcclResult_t before = vote(comm, count);
        if (before != signcclSuccess) return before;
        if (rank == 0 && !holdsInChild(comm, body)) return signcclInternalError;
        const signcclResult_t after = vote(comm, count);
        if (after != signcclSuccess) return after;
      }
      return signcclSuccess;
    });
  });
  processes.expectSuccess();
}

class ProcessForkTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ProcessForkTest, ChildThatDestroysItsCopyLeavesTheJobGoing) {
  expectJobGoesOn(GetParam(), [](signcclComm_t comm) { return signcclCommDestroy(comm) == signcclSuccess; });
}

TEST_P(ProcessForkTest, ChildThatVotesOrAbortsIsRefused) {
  expectJobGoesOn(GetParam(), [](signcclComm_t comm) {
    return vote(comm) == signcclInvalidUsage && vote(comm, 100'000) == signcclInvalidUsage &&
           signcclCommAbort(comm) == signcclInvalidUsage && signcclCommFinalize(comm) == signcclInvalidUsage;
  });
}

TEST_P(ProcessForkTest, ChildThatExitsLikeADataLoaderLeavesTheJobGoing) {
  if (kSanitized) GTEST_SKIP() << "LeakSanitizer takes what the child inherited for leaks";
  expectJobGoesOn(GetParam(), [](signcclComm_t) -> bool { std::exit(0); });
}

TEST(UniqueIdTest, MadeBeforeAForkServesParentAndChild) {
  if (kForkedChildrenMayHang) GTEST_SKIP() << kWhyForkedChildrenMayHang;
  const Processes processes(1, [](int, const signcclUniqueId& id) {
    const pid_t child = fork();
    const auto said = inGroup(child == 0 ? 1 : 0, 2, id, nullptr, kLong, [](signcclComm_t comm) { return vote(comm); });
    if (child == 0) _exit(said.code);
    int status = 0;
    waitpid(child, &status, 0);
    return status == 0 ? said : Processes::Said{signcclInternalError, "the child has failed"};
  });
  processes.expectSuccess();
}

INSTANTIATE_TEST_SUITE_P(Over, ProcessForkTest, ::testing::Values("posix,self,tcp", "tcp,self"),
                         [](const auto& instance) {
                           return std::string(instance.param).starts_with("posix") ? "SharedMemory" : "Tcp";
                         });

}  // namespace
}  // namespace signccl
