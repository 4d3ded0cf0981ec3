// SPDX-License-Identifier: Apache-2.0
// Children of a process that uses UCX: they make transports of their own, and those of the parent go on.
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "support/caught.h"
#include "support/sanitizers.h"
#include "transport/ucx/tcp_context.h"
#include "transport/ucx/ucx_transport.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

using MakeContext = std::shared_ptr<UcxContext> (*)();

/// Sends `size` bytes to the peer and receives as many; false if they are wrong or do not come.
bool exchange(UcxTransport& transport, Rank rank, std::size_t size, const std::function<void()>& also_progress) {
  const std::vector<std::byte> sent(size, static_cast<std::byte>(rank));
  std::vector<std::byte> got(size, std::byte{99});
  Request send;
  Request receive;
  std::vector<Request*> completed;
  transport.recv(1 - rank, {.exchange = size}, got, Landing::kCopy, receive);
  transport.send(1 - rank, {.exchange = size}, sent, send);
  const auto deadline = steady_clock::now() + 20s;
  while (completed.size() < 2 || !transport.flush()) {
    if (steady_clock::now() > deadline) return false;
    transport.progress(completed);
    also_progress();
  }
  return got == std::vector<std::byte>(size, static_cast<std::byte>(1 - rank));
}

/// Where two children tell each other their addresses.
struct Board {
  std::array<std::atomic<std::size_t>, 2> sizes{};
  std::array<std::array<char, 4096>, 2> addresses{};
  std::atomic<int> ndone{0};
};

std::string awaitAddress(const Board& board, std::size_t rank) {
  const auto deadline = steady_clock::now() + 20s;
  while (board.sizes.at(rank) == 0 && steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
  return {board.addresses.at(rank).data(), board.sizes.at(rank)};
}

[[noreturn]] void beChild(Board& board, Rank rank, MakeContext make_context) {
  const auto own = static_cast<std::size_t>(rank);
  UcxTransport transport(make_context(), rank, 2);
  std::memcpy(board.addresses.at(own).data(), transport.address().data(), transport.address().size());
  board.sizes.at(own) = transport.address().size();
  transport.setAddresses({awaitAddress(board, 0), awaitAddress(board, 1)});
  bool is_right = true;
  for (const std::size_t size : {100U, 5000U, 8U << 20}) is_right = is_right && exchange(transport, rank, size, [] {});
  // Both stay until both are done.
  ++board.ndone;
  const auto deadline = steady_clock::now() + 20s;
  while (board.ndone < 2 && steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
  _exit(is_right ? 0 : 1);
}

class UcxForkTest : public testing::TestWithParam<MakeContext> {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "ThreadSanitizer ends a child of a process with threads that starts one";
#endif
  }
  ~UcxForkTest() override { munmap(board_, sizeof(Board)); }

  void makeTransports() {
    for (const Rank rank : {0, 1}) ranks_.push_back(std::make_unique<UcxTransport>(GetParam()(), rank, 2));
    for (const auto& rank : ranks_) rank->setAddresses({ranks_[0]->address(), ranks_[1]->address()});
  }

  /// A message from rank 0 to rank 1 of this process.
  void exchangeHere(std::uint64_t number) {
    const std::vector<std::byte> sent(5000, std::byte{7});
    std::vector<std::byte> got(sent.size());
    Request send;
    Request receive;
    std::vector<Request*> completed;
    ranks_[1]->recv(0, {.exchange = number}, got, Landing::kCopy, receive);
    ranks_[0]->send(1, {.exchange = number}, sent, send);
    const auto deadline = steady_clock::now() + 20s;
    while (completed.size() < 2) {
      ASSERT_LT(steady_clock::now(), deadline) << "a message of the parent never arrives";
      for (const auto& rank : ranks_) rank->progress(completed);
    }
    EXPECT_EQ(got, sent);
  }

  std::vector<std::unique_ptr<UcxTransport>> ranks_;
  Board* const board_ =
      new (mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Board;
};

void expectSuccess(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

TEST_P(UcxForkTest, ChildrenExchangeIfTheParentHadNoContextWhenItForked) {
  makeTransports();
  exchangeHere(0);
  ranks_.clear();
  std::vector<pid_t> children;
  for (const Rank rank : {0, 1}) {
    const pid_t child = fork();
    if (child == 0) beChild(*board_, rank, GetParam());
    children.push_back(child);
  }
  makeTransports();
  for (std::uint64_t number = 1; number < 100; ++number) exchangeHere(number);
  for (const pid_t child : children) expectSuccess(child);
}

TEST_P(UcxForkTest, ChildOfAProcessThatUsesUcxIsRefusedAndTheParentGoesOn) {
  makeTransports();
  exchangeHere(0);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    const Caught error = caught([] { GetParam()(); });
    const std::string expected = "process " + std::to_string(getpid()) + " was forked from process " +
                                 std::to_string(parent) + " while that had a communicator of several processes";
    _exit(error.code == signcclInvalidUsage && error.message.starts_with(expected) ? 0 : 1);
  }
  for (std::uint64_t number = 1; number < 100; ++number) exchangeHere(number);
  expectSuccess(child);
  exchangeHere(100);
}

TEST_P(UcxForkTest, ChildForkedWhileAnotherThreadMakesContextsDoesNotHang) {
  if (kForkedChildrenMayHang) GTEST_SKIP() << kWhyForkedChildrenMayHang;
  std::atomic<bool> is_over = false;
  std::atomic<bool> has_begun = false;
  std::thread other([&] {
    for (; !is_over; has_begun = true) UcxContext::open("");
  });
  // A fork while another thread maps memory, as it does for its first allocation, is another matter: the child would
  // find a lock of UCX taken that nobody releases. docs/architecture.md has it among the limits.
  while (!has_begun) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      caught([] { GetParam()(); });
      _exit(0);
    }
    expectSuccess(child);
  }
  is_over = true;
  other.join();
}

INSTANTIATE_TEST_SUITE_P(Over, UcxForkTest,
                         testing::Values(
                             +[] { return UcxContext::open(""); }, +[] { return newTcpContext(); }),
                         [](const auto& tested) { return tested.index == 0 ? "any" : "tcp"; });

}  // namespace
}  // namespace signccl
