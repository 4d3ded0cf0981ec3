// Ranks for tests of the C API: all communicators of a group, driven by one thread or by one thread each.
#ifndef SIGNCCL_TESTS_API_RANKS_H_
#define SIGNCCL_TESTS_API_RANKS_H_

#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "oracle.h"
#include "signccl/signccl.h"

namespace signccl::test {

/// Sets environment variables for the life of the object. An empty value unsets.
class Environment {
 public:
  Environment(std::initializer_list<std::pair<const char*, std::string>> variables) {
    for (const auto& [name, value] : variables) {
      const char* before = std::getenv(name);
      before_.emplace_back(name, before == nullptr ? "" : before);
      set(name, value);
    }
  }
  ~Environment() {
    for (const auto& [name, value] : before_) set(name, value);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  static void set(const std::string& name, const std::string& value) {
    if (value.empty()) {
      unsetenv(name.c_str());
    } else {
      setenv(name.c_str(), value.c_str(), 1);
    }
  }

  std::vector<std::pair<std::string, std::string>> before_;
};

/// All communicators of a new group; destroyed at the end.
class Ranks {
 public:
  explicit Ranks(int nranks) : comms_(static_cast<std::size_t>(nranks)) {
    const signcclResult_t result = signcclCommInitAll(comms_.data(), nranks, nullptr);
    EXPECT_EQ(result, signcclSuccess) << signcclGetLastError(nullptr);
  }
  ~Ranks() {
    for (const signcclComm_t comm : comms_) {
      if (comm == nullptr) continue;
      EXPECT_EQ(signcclCommDestroy(comm), signcclSuccess);
    }
  }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  [[nodiscard]] int size() const { return static_cast<int>(comms_.size()); }
  signcclComm_t& operator[](int rank) { return comms_[static_cast<std::size_t>(rank)]; }

  /// Runs body(rank, comm) in a thread for each rank and waits for all of them.
  void inThreads(const std::function<void(int, signcclComm_t)>& body) {
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size(); ++rank) threads.emplace_back([&, rank] { body(rank, (*this)[rank]); });
    for (std::thread& thread : threads) thread.join();
  }

 private:
  std::vector<signcclComm_t> comms_;
};

inline signcclSignConfig_t rulesOf(const Case& tested) {
  signcclSignConfig_t config = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  config.zeroRule = tested.zero;
  config.tieRule = tested.tie;
  return config;
}

/// Calls the collective of `tested`, blocking (or noted, in a group).
inline signcclResult_t call(const Case& tested, const void* send, void* recv, std::size_t count, signcclComm_t comm) {
  const signcclSignConfig_t config = rulesOf(tested);
  const auto collective = tested.op == Op::kVote ? signcclAllReduceVote : signcclAllReduceAvg;
  return collective(send, recv, count, tested.sendtype, tested.recvtype, &config, comm, nullptr);
}

/// A buffer at a chosen misalignment with guard bytes around it.
class GuardedBuffer {
 public:
  GuardedBuffer(std::size_t bytes, std::size_t offset) : bytes_(bytes), begin_(kGuard + offset) {
    memory_.assign(bytes + offset + 2 * kGuard, kFill);
  }
  GuardedBuffer(const std::vector<std::byte>& content, std::size_t offset) : GuardedBuffer(content.size(), offset) {
    std::copy(content.begin(), content.end(), memory_.begin() + static_cast<std::ptrdiff_t>(begin_));
  }

  [[nodiscard]] std::byte* data() { return memory_.data() + begin_; }
  [[nodiscard]] bool equals(const std::vector<std::byte>& expected) const {
    return expected.size() == bytes_ && std::equal(expected.begin(), expected.end(), memory_.data() + begin_);
  }
  [[nodiscard]] bool guardsAreIntact() const {
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      if ((i < begin_ || i >= begin_ + bytes_) && memory_[i] != kFill) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kGuard = 80;
  static constexpr std::byte kFill{0xa5};
  std::size_t bytes_;
  std::size_t begin_;
  std::vector<std::byte> memory_;
};

}  // namespace signccl::test

#endif  // SIGNCCL_TESTS_API_RANKS_H_
