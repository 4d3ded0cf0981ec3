// Ranks that are processes: results over UCX, and what survivors are told when one of them fails.
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "ranks.h"
#include "schedule/algorithm.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using testing::HasSubstr;

constexpr int kMostRanks = 16;

/// What the processes of one test share.
struct Board {
  struct Outcome {
    std::atomic<bool> is_written;
    int code;
    std::array<char, 500> text;
  };
  std::atomic<bool> has_id;
  signcclUniqueId id;
  std::array<Outcome, kMostRanks> outcomes;
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

  Processes(int nranks, const Body& body) : nranks_(nranks) {
    void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    board_ = new (memory) Board{};
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
    munmap(board_, sizeof(Board));
  }
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  void send(int rank, int signal) const { kill(processes_[static_cast<std::size_t>(rank)], signal); }

  /// Waits until a rank has said how it ended; fails the test if it does not in time.
  Said outcome(int rank, std::chrono::milliseconds longest = 60s) const {
    const Board::Outcome& outcome = board_->outcomes[static_cast<std::size_t>(rank)];
    const auto deadline = steady_clock::now() + longest;
    while (!outcome.is_written.load(std::memory_order_acquire)) {
      if (steady_clock::now() > deadline) {
        ADD_FAILURE() << "rank " << rank << " has not ended after " << longest.count() << " ms";
        return {-1, ""};
      }
      std::this_thread::sleep_for(5ms);
    }
    return {outcome.code, outcome.text.data()};
  }

  void expectSuccess() const {
    for (int rank = 0; rank < nranks_; ++rank) {
      const Said said = outcome(rank);
      EXPECT_EQ(said.code, signcclSuccess) << "rank " << rank << ": " << said.text;
    }
  }

 private:
  [[noreturn]] void be(int rank, const Body& body) {
    if (rank == 0) {
      signcclGetUniqueId(&board_->id);
      board_->has_id.store(true, std::memory_order_release);
    }
    while (!board_->has_id.load(std::memory_order_acquire)) std::this_thread::sleep_for(1ms);
    const Said said = body(rank, board_->id);
    Board::Outcome& outcome = board_->outcomes[static_cast<std::size_t>(rank)];
    outcome.code = said.code;
    std::strncpy(outcome.text.data(), said.text.c_str(), outcome.text.size() - 1);
    outcome.is_written.store(true, std::memory_order_release);
    _exit(0);
  }

  const int nranks_;
  Board* board_;
  std::vector<pid_t> processes_;
};

using Said = Processes::Said;

Said lastError(signcclResult_t result) { return {result, signcclGetLastError(nullptr)}; }

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

constexpr int kLong = 60'000;

signcclResult_t vote(signcclComm_t comm, std::size_t count = 1000) {
  std::vector<std::int8_t> values(count, 1);
  return signcclAllReduceVote(values.data(), values.data(), count, signcclInt8, signcclInt8, nullptr, comm, nullptr);
}

std::vector<Case> someCases() {
  return {{SignOp::kVote, signcclFloat32, signcclFloat32, signcclZeroBinary, signcclTieAlternate},
          {SignOp::kVote, signcclBfloat16, signcclInt8, signcclZeroTernary, signcclTieZero},
          {SignOp::kVote, signcclInt8, signcclBits, signcclZeroBinary, signcclTiePositive},
          {SignOp::kAvg, signcclFloat32, signcclFloat16, signcclZeroBinary, signcclTieZero},
          {SignOp::kAvg, signcclFloat64, signcclInt32, signcclZeroTernary, signcclTieZero}};
}

/// The first result that is not the reference's, in words; nothing if all are right.
std::string firstWrong(signcclComm_t comm, int rank, int nranks) {
  std::uint64_t call_number = 0;
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{65}, std::size_t{1000},
                                  std::size_t{100003}, std::size_t{3'000'001}}) {
    for (const Case& tested : someCases()) {
      if (count > 1'000'000 && (tested.sendtype != signcclInt8 || nranks > 3)) continue;
      std::vector<std::vector<std::byte>> inputs;
      for (int r = 0; r < nranks; ++r)
        inputs.push_back(makeInput(tested.sendtype, count, static_cast<unsigned>(r) + 1));
      std::vector<std::byte> result(bufferBytes(tested.recvtype, count));
      const auto& mine = inputs[static_cast<std::size_t>(rank)];
      if (call(tested, mine.data(), result.data(), count, comm) != signcclSuccess) return signcclGetLastError(nullptr);
      if (result != expectedResult(tested, inputs, count, call_number++)) {
        return "wrong: " + tested.name() + " count " + std::to_string(count);
      }
    }
  }
  return "";
}

struct Setting {
  int nranks;
  const char* tls;             ///< UCX_TLS; nullptr: as UCX chooses
  const char* ranks_per_node;  ///< nullptr: all on one node
};

class ProcessExactnessTest : public testing::TestWithParam<Setting> {};

TEST_P(ProcessExactnessTest, EveryAlgorithmGivesTheResultsOfTheReference) {
  const Setting setting = GetParam();
  for (const Algorithm algorithm : allAlgorithms()) {
    const std::string name(algorithmName(algorithm));
    const Processes processes(setting.nranks, [&](int rank, const signcclUniqueId& id) {
      if (setting.tls != nullptr) setenv("UCX_TLS", setting.tls, 1);
      if (setting.ranks_per_node != nullptr) setenv("SIGNCCL_RANKS_PER_NODE", setting.ranks_per_node, 1);
      std::string wrong;
      Said said = inGroup(rank, setting.nranks, id, name.c_str(), kLong, [&](signcclComm_t comm) {
        wrong = firstWrong(comm, rank, setting.nranks);
        return wrong.empty() ? signcclSuccess : signcclInternalError;
      });
      return wrong.empty() ? said : Said{signcclInternalError, name + ": " + wrong};
    });
    processes.expectSuccess();
  }
}

INSTANTIATE_TEST_SUITE_P(Transports, ProcessExactnessTest,
                         testing::Values(Setting{2, nullptr, nullptr}, Setting{3, nullptr, nullptr},
                                         Setting{4, nullptr, "2"}, Setting{5, "tcp,self", nullptr},
                                         Setting{8, "tcp,self", "2"}),
                         [](const auto& test) {
                           return std::string(test.param.tls == nullptr ? "any" : "tcp") +
                                  std::to_string(test.param.nranks);
                         });

TEST(ProcessTest, KilledRankIsNamedToTheOthersWithinFiveSeconds) {
  const Processes processes(3, [](int rank, const signcclUniqueId& id) {
    return inGroup(rank, 3, id, nullptr, kLong, [&](signcclComm_t comm) {
      // A rank may still be at it when another one is done and dies.
      if (const signcclResult_t first = vote(comm); first != signcclSuccess) return first;
      if (rank == 1) raise(SIGKILL);
      return vote(comm);
    });
  });
  for (const int rank : {0, 2}) {
    const Said said = processes.outcome(rank, 20s);
    EXPECT_EQ(said.code, signcclRemoteError) << said.text;
    EXPECT_THAT(said.text, HasSubstr("rank 1"));
  }
}

TEST(ProcessTest, KilledRankInWhoseProcessTheRanksMeetIsNamed) {
  const Processes processes(3, [](int rank, const signcclUniqueId& id) {
    return inGroup(rank, 3, id, nullptr, kLong, [&](signcclComm_t comm) {
      // A rank may still be at it when another one is done and dies.
      if (const signcclResult_t first = vote(comm); first != signcclSuccess) return first;
      if (rank == 0) raise(SIGKILL);
      return vote(comm);
    });
  });
  for (const int rank : {1, 2}) {
    const Said said = processes.outcome(rank, 20s);
    EXPECT_EQ(said.code, signcclRemoteError) << said.text;
    EXPECT_THAT(said.text, HasSubstr("rank 0"));
  }
}

TEST(ProcessTest, RankKilledWhileTheOthersJoinIsNamed) {
  const Processes processes(3, [](int rank, const signcclUniqueId& id) {
    if (rank == 2) std::this_thread::sleep_for(1h);
    if (rank == 1) {
      std::thread([] {
        std::this_thread::sleep_for(500ms);
        raise(SIGKILL);
      }).detach();
    }
    return inGroup(rank, 3, id, nullptr, kLong, [&](signcclComm_t comm) { return vote(comm); });
  });
  const Said said = processes.outcome(0, 20s);
  EXPECT_EQ(said.code, signcclRemoteError) << said.text;
  EXPECT_THAT(said.text, HasSubstr("rank 1"));
}

TEST(ProcessTest, StoppedRankIsNamedWhenTheDeadlinePasses) {
  const Processes processes(3, [](int rank, const signcclUniqueId& id) {
    return inGroup(rank, 3, id, nullptr, 3000, [&](signcclComm_t comm) {
      // A rank may still be at it when another one is done and dies.
      if (const signcclResult_t first = vote(comm); first != signcclSuccess) return first;
      if (rank == 1) raise(SIGSTOP);
      return vote(comm);
    });
  });
  for (const int rank : {0, 2}) {
    const Said said = processes.outcome(rank, 20s);
    EXPECT_EQ(said.code, signcclTimeout) << said.text;
    EXPECT_THAT(said.text, HasSubstr("rank 1"));
  }
}

TEST(ProcessTest, RanksThatDisagreeAllGetBothValues) {
  const Processes processes(3, [](int rank, const signcclUniqueId& id) {
    return inGroup(rank, 3, id, nullptr, kLong, [&](signcclComm_t comm) { return vote(comm, rank == 2 ? 999 : 1000); });
  });
  for (int rank = 0; rank < 3; ++rank) {
    const Said said = processes.outcome(rank, 20s);
    EXPECT_EQ(said.code, signcclInvalidUsage) << said.text;
    EXPECT_THAT(said.text, HasSubstr("999 on rank 2"));
    EXPECT_THAT(said.text, HasSubstr("1000 on rank"));
  }
}

TEST(ProcessTest, EmptyCallDoesNotPassForAnother) {
  const Processes processes(2, [](int rank, const signcclUniqueId& id) {
    return inGroup(rank, 2, id, nullptr, kLong, [&](signcclComm_t comm) { return vote(comm, rank == 0 ? 0 : 1000); });
  });
  for (int rank = 0; rank < 2; ++rank) EXPECT_EQ(processes.outcome(rank, 20s).code, signcclInvalidUsage);
}

TEST(ProcessTest, AbortReachesTheOthers) {
  const Processes processes(3, [](int rank, const signcclUniqueId& id) {
    return inGroup(rank, 3, id, nullptr, kLong, [&](signcclComm_t comm) {
      // A rank may still be at it when another one is done and dies.
      if (const signcclResult_t first = vote(comm); first != signcclSuccess) return first;
      if (rank != 2) return vote(comm);
      std::this_thread::sleep_for(200ms);
      return signcclCommAbort(comm);
    });
  });
  for (const int rank : {0, 1}) {
    const Said said = processes.outcome(rank, 20s);
    EXPECT_EQ(said.code, signcclRemoteError) << said.text;
    EXPECT_THAT(said.text, HasSubstr("rank 2 aborted"));
  }
}

TEST(ProcessTest, RankThatIsDestroyedWhileOthersCallIsNamed) {
  const Processes processes(3, [](int rank, const signcclUniqueId& id) {
    return inGroup(rank, 3, id, nullptr, kLong,
                   [&](signcclComm_t comm) { return rank == 1 ? signcclSuccess : vote(comm); });
  });
  for (const int rank : {0, 2}) {
    const Said said = processes.outcome(rank, 20s);
    EXPECT_EQ(said.code, signcclRemoteError) << said.text;
    EXPECT_THAT(said.text, HasSubstr("rank 1 destroyed its communicator"));
  }
}

TEST(ProcessTest, SplitGivesGroupsThatWork) {
  const Processes processes(4, [](int rank, const signcclUniqueId& id) {
    return inGroup(rank, 4, id, nullptr, kLong, [&](signcclComm_t comm) {
      signcclComm_t half = nullptr;
      signcclResult_t result = signcclCommSplit(comm, rank % 2, -rank, &half, nullptr);
      if (result != signcclSuccess) return result;
      int half_rank = -1;
      signcclCommUserRank(half, &half_rank);
      if (half_rank != (rank < 2 ? 1 : 0)) return signcclInternalError;
      result = vote(half);
      signcclCommDestroy(half);
      return result == signcclSuccess ? vote(comm) : result;
    });
  });
  processes.expectSuccess();
}

}  // namespace
}  // namespace signccl
