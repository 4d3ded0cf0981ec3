// SPDX-License-Identifier: Apache-2.0
// Ranks that are processes, for tests of the C API: forked, each with a place where it says how it ended.
#ifndef SIGNCCL_TESTS_API_PROCESSES_H_
#define SIGNCCL_TESTS_API_PROCESSES_H_

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <new>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "signccl/signccl.h"

namespace signccl {

/// A value that a test and the processes that it forks see alike. For types that hold no pointers.
template <typename T>
class Shared {
 public:
  Shared() : value_(new (mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) T{}) {}
  ~Shared() { munmap(value_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  T& operator*() const { return *value_; }
  T* operator->() const { return value_; }

 private:
  T* value_;
};

/// A group of processes, each of which runs a body for one rank and says how it ended.
class Processes {
 public:
  /// What a rank says: the result code of the call that ended it, and its text.
  struct Said {
    int code = 0;
    std::string text;
  };
  using Body = std::function<Said(int rank, const signcclUniqueId& id)>;

  Processes(int nranks, const Body& body) {
    for (int rank = 0; rank < nranks; ++rank) {
      const pid_t process = fork();
      if (process == 0) be(rank, body);
      processes_.push_back(process);
    }
  }
  ~Processes() {
    for (const pid_t process : processes_) {
      kill(process, SIGKILL);
      waitpid(process, nullptr, 0);
    }
  }
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  void send(int rank, int signal) const { kill(processes_[static_cast<std::size_t>(rank)], signal); }

  /// Waits until a rank has said how it ended; fails the test if it does not in time.
  [[nodiscard]] Said outcome(int rank, std::chrono::seconds longest = std::chrono::seconds(60)) const {
    const Outcome& outcome = board_->outcomes.at(static_cast<std::size_t>(rank));
    const auto deadline = std::chrono::steady_clock::now() + longest;
    while (!outcome.is_written.load(std::memory_order_acquire)) {
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << "rank " << rank << " has not ended after " << longest.count() << " s";
        return {-1, ""};
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return {outcome.code, outcome.text.data()};
  }

  void expectSuccess() const {
    for (std::size_t rank = 0; rank < processes_.size(); ++rank) {
      const Said said = outcome(static_cast<int>(rank));
      EXPECT_EQ(said.code, signcclSuccess) << "rank " << rank << ": " << said.text;
    }
  }

 private:
  static constexpr int kMostRanks = 64;

  struct Outcome {
    std::atomic<bool> is_written;
    int code;
    std::array<char, 500> text;
  };
  /// What the processes share.
  struct Board {
    std::atomic<bool> has_id;
    signcclUniqueId id;
    std::array<Outcome, kMostRanks> outcomes;
  };

  [[noreturn]] void be(int rank, const Body& body) const {
    if (rank == 0) {
      signcclGetUniqueId(&board_->id);
      board_->has_id.store(true, std::memory_order_release);
    }
    while (!board_->has_id.load(std::memory_order_acquire)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const Said said = body(rank, board_->id);
    Outcome& outcome = board_->outcomes.at(static_cast<std::size_t>(rank));
    outcome.code = said.code;
    std::strncpy(outcome.text.data(), said.text.c_str(), outcome.text.size() - 1);
    outcome.is_written.store(true, std::memory_order_release);
    _exit(0);
  }

  const Shared<Board> board_;
  std::vector<pid_t> processes_;
};

using Said = Processes::Said;

inline Said lastError(signcclResult_t result) { return {result, signcclGetLastError(nullptr)}; }

/// Longer than any test takes, for `timeout_ms`.
inline constexpr int kLong = 60'000;

/// Joins, runs body(comm), which returns the result of its last call, and destroys the communicator.
template <typename Body>
Said inGroup(int rank, int nranks, const signcclUniqueId& id, const char* algorithm, int timeout_ms, const Body& body) {
  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  config.algorithm = algorithm;
  config.timeoutMs = timeout_ms;
  signcclComm_t comm = nullptr;
  const signcclResult_t joined = signcclCommInitRankConfig(&comm, nranks, id, rank, &config);
  if (joined != signcclSuccess) return lastError(joined);
  const Said said = lastError(body(comm));
  const signcclResult_t destroyed = signcclCommDestroy(comm);
  return said.code == signcclSuccess && destroyed != signcclSuccess ? lastError(destroyed) : said;
}

inline signcclResult_t vote(signcclComm_t comm, std::size_t count = 1000) {
  std::vector<std::int8_t> values(count, 1);
  return signcclAllReduceVote(values.data(), values.data(), count, signcclInt8, signcclInt8, nullptr, comm, nullptr);
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_API_PROCESSES_H_
