// SPDX-License-Identifier: Apache-2.0
// A child after fork() can hurt nobody: its calls on its parent's handles are refused, and the parent goes on.
#include <array>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "ranks.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

/// What a child found wrong, empty if all was as expected; "it hangs" if it does not end within a minute.
std::string complaintsOfChild(const std::function<std::string()>& body) {
  std::array<int, 2> channel{};
  EXPECT_EQ(pipe(channel.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    const std::string said = body() + "\n";
    const bool is_told = write(channel[1], said.data(), said.size()) == std::ssize(said);
    _exit(is_told ? 0 : 1);
  }
  close(channel[1]);
  std::string said;
  std::array<char, 4096> part{};
  for (ssize_t got = 0; (got = read(channel[0], part.data(), part.size())) > 0;) {
    said.append(part.data(), static_cast<std::size_t>(got));
  }
  close(channel[0]);
  waitpid(child, nullptr, 0);
  if (said.empty()) return "it hangs or crashed";
  said.pop_back();
  return said;
}

/// Empty if a call was refused because its handle belongs to the parent.
std::string refusal(const char* what, signcclResult_t result, pid_t parent) {
  const std::string said = signcclGetLastError(nullptr);
  const bool is_right = result == signcclInvalidUsage &&
                        said.find("belongs to process " + std::to_string(parent)) != std::string::npos &&
                        said.find("fork()") != std::string::npos;
  return is_right ? "" : std::string(what) + ": " + std::to_string(result) + " '" + said + "'; ";
}

TEST(Fork, ChildIsRefusedEveryUseOfItsParentsCommunicator) {
  Ranks ranks(2);
  std::vector<float> data(10, 1.0F);
  const pid_t parent = getpid();
  EXPECT_EQ(complaintsOfChild([&] {
              const signcclComm_t comm = ranks[0];
              int number = 0;
              std::uint64_t call_number = 0;
              signcclResult_t state = signcclSuccess;
              signcclComm_t made = nullptr;
              signcclRequest_t request = nullptr;
              signcclCommStats_t stats{};
              stats.size = sizeof stats;
              std::string wrong;
              wrong += refusal("vote", call(Case{}, data.data(), data.data(), 10, comm), parent);
              wrong += refusal("async",
                               signcclAllReduceVoteAsync(data.data(), data.data(), 10, signcclFloat32, signcclFloat32,
                                                         nullptr, comm, nullptr, &request),
                               parent);
              wrong += refusal("finalize", signcclCommFinalize(comm), parent);
              wrong += refusal("abort", signcclCommAbort(comm), parent);
              wrong += refusal("split", signcclCommSplit(comm, 0, 0, &made, nullptr), parent);
              wrong += refusal("count", signcclCommCount(comm, &number), parent);
              wrong += refusal("rank", signcclCommUserRank(comm, &number), parent);
              wrong += refusal("state", signcclCommGetAsyncError(comm, &state), parent);
              wrong += refusal("stats", signcclCommGetStats(comm, &stats), parent);
              wrong += refusal("call number", signcclCommGetCallNumber(comm, &call_number), parent);
              return wrong;
            }),
            "");
}

TEST(Fork, ChildThatDestroysItsCopyLeavesTheParentsUntouched) {
  Ranks ranks(2);
  EXPECT_EQ(complaintsOfChild([&] {
              return signcclCommDestroy(ranks[0]) == signcclSuccess && signcclCommDestroy(ranks[1]) == signcclSuccess
                         ? ""
                         : signcclGetLastError(nullptr);
            }),
            "");
  ranks.inThreads([&](int, signcclComm_t comm) {
    std::vector<float> data(100'000, -3.0F);
    EXPECT_EQ(call(Case{}, data.data(), data.data(), data.size(), comm), signcclSuccess);
    EXPECT_EQ(data, std::vector<float>(100'000, -1.0F));
  });
}

TEST(Fork, ChildMayMakeCommunicatorsOfItsOwn) {
  Ranks ranks(2);
  EXPECT_EQ(complaintsOfChild([] {
              signcclUniqueId id;
              signcclComm_t comm = nullptr;
              float value = -4.0F;
              if (signcclGetUniqueId(&id) != signcclSuccess) return std::string(signcclGetLastError(nullptr));
              if (signcclCommInitRank(&comm, 1, id, 0) != signcclSuccess)
                return std::string(signcclGetLastError(nullptr));
              if (call(Case{}, &value, &value, 1, comm) != signcclSuccess)
                return std::string(signcclGetLastError(comm));
              if (signcclCommDestroy(comm) != signcclSuccess) return std::string(signcclGetLastError(nullptr));
              return std::string(value == -1.0F ? "" : "wrong result");
            }),
            "");
}

TEST(Fork, RequestsAndOpenGroupsStayWithTheParent) {
  Ranks ranks(2);
  std::vector<float> data(1000, -1.0F);
  std::vector<float> grouped(1000, -5.0F);
  const pid_t parent = getpid();
  signcclRequest_t request = nullptr;
  ASSERT_EQ(signcclAllReduceVoteAsync(data.data(), data.data(), data.size(), signcclFloat32, signcclFloat32, nullptr,
                                      ranks[0], nullptr, &request),
            signcclSuccess);
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  ASSERT_EQ(call(Case{}, grouped.data(), grouped.data(), grouped.size(), ranks[0]), signcclSuccess);
  EXPECT_EQ(complaintsOfChild([&] {
              signcclRequest_t copy = request;
              int done = 0;
              std::string wrong = refusal("test", signcclRequestTest(&copy, &done), parent);
              wrong += refusal("wait", signcclRequestWait(&copy), parent);
              wrong += refusal("group end", signcclGroupEnd(), parent);
              return wrong;
            }),
            "");
  std::vector<float> answer(1000, -1.0F);
  std::jthread other([&] {
    for (int i = 0; i < 2; ++i) call(Case{}, answer.data(), answer.data(), answer.size(), ranks[1]);
  });
  EXPECT_EQ(signcclGroupEnd(), signcclSuccess);
  EXPECT_EQ(signcclRequestWait(&request), signcclSuccess);
  EXPECT_EQ(grouped, std::vector<float>(1000, -1.0F));
}

TEST(Fork, WhileOtherThreadsUseHandlesTheChildNeverHangs) {
  if (kForkedChildrenMayHang) GTEST_SKIP() << kWhyForkedChildrenMayHang;
  Ranks ranks(1);
  std::atomic<bool> stop = false;
  std::jthread busy([&] {
    std::vector<float> data(10, 1.0F);
    while (!stop) {
      signcclRequest_t request = nullptr;
      signcclAllReduceVoteAsync(data.data(), data.data(), data.size(), signcclFloat32, signcclFloat32, nullptr,
                                ranks[0], nullptr, &request);
      signcclRequestWait(&request);
      call(Case{}, nullptr, nullptr, 10, ranks[0]);
    }
  });
  const pid_t parent = getpid();
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(complaintsOfChild([&] {
                int number = 0;
                const std::string wrong = refusal("count", signcclCommCount(ranks[0], &number), parent);
                return wrong + (signcclCommDestroy(ranks[0]) == signcclSuccess ? "" : "destroy");
              }),
              "");
  }
  stop = true;
}

}  // namespace
}  // namespace signccl
