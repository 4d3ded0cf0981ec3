// SPDX-License-Identifier: Apache-2.0
// Ranks for tests of the C API: all communicators of a group, driven by one thread or by one thread each.
#ifndef SIGNCCL_TESTS_API_RANKS_H_
#define SIGNCCL_TESTS_API_RANKS_H_

#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "case.h"
#include "signccl/signccl.h"
#include "support/rank_threads.h"

namespace signccl {

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
    runAsRanks(size(), [&](Rank rank) { body(rank, (*this)[rank]); });
  }

 private:
  std::vector<signcclComm_t> comms_;
};

/// Returns once every rank has called it. For a rank that fails the communicator next: without it, a slower rank may be
/// in a call before that, which the failure ends.
inline void meet(signcclComm_t comm) {
  EXPECT_EQ(signcclCommAllGather(nullptr, nullptr, 0, comm), signcclSuccess) << signcclGetLastError(nullptr);
}

inline signcclSignConfig_t rulesOf(const Case& tested) {
  signcclSignConfig_t config = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  config.zeroRule = tested.zero;
  config.tieRule = tested.tie;
  return config;
}

/// Calls the collective of `tested`, blocking (or noted, in a group).
inline signcclResult_t call(const Case& tested, const void* send, void* recv, std::size_t count, signcclComm_t comm) {
  const signcclSignConfig_t config = rulesOf(tested);
  const auto collective = tested.op == SignOp::kVote ? signcclAllReduceVote : signcclAllReduceAvg;
  return collective(send, recv, count, tested.sendtype, tested.recvtype, &config, comm, nullptr);
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_API_RANKS_H_
