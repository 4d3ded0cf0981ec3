// SPDX-License-Identifier: Apache-2.0
// Ranks that are processes leave nothing behind: memory, descriptors, segments of shared memory.
//
// SIGNCCL_TEST_CYCLES is how many communicators ManyCommunicatorsLeaveNothing makes.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <malloc.h>
#include <set>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "control/eventually.h"
#include "processes.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

constexpr int kRanks = 2;
/// Memory that sanitizers keep for themselves says nothing.
constexpr std::size_t kMostGrowth = kSanitized ? SIZE_MAX / 2 : std::size_t{2} << 20;
constexpr std::chrono::seconds kLongest{600};

/// Segments of shared memory that exist on this machine, by name.
std::set<std::string> segmentsOfAll() {
  std::set<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm", ignored)) names.insert(entry.path());
  std::ifstream table("/proc/sysvipc/shm");
  std::string line;
  std::getline(table, line);
  std::string key;
  std::string id;
  while (std::getline(table, line)) {
    if (std::istringstream(line) >> key >> id) names.insert("System V " + id);
  }
  return names;
}

std::size_t mappedSegments() {
  std::ifstream maps("/proc/self/maps");
  std::size_t nsegments = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/dev/shm/") != std::string::npos || line.find("/SYSV") != std::string::npos) ++nsegments;
  }
  return nsegments;
}

/// What this process holds.
struct Holdings {
  std::size_t resident_bytes = 0;
  std::size_t descriptors = 0;
  std::size_t segments = 0;

  static Holdings now() {
    malloc_trim(0);
    Holdings holdings;
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages >> pages;
    holdings.resident_bytes = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      ++holdings.descriptors;
    }
    holdings.segments = mappedSegments();
    return holdings;
  }

  [[nodiscard]] bool fitsInto(const Holdings& other) const {
    return resident_bytes <= other.resident_bytes + kMostGrowth && descriptors <= other.descriptors &&
           segments <= other.segments;
  }

  [[nodiscard]] std::string text() const {
    return std::to_string(resident_bytes / 1024) + " kB resident, " + std::to_string(descriptors) + " descriptors, " +
           std::to_string(segments) + " segments";
  }
};

/// Whether this process holds no more after `nturns` of turn(i) than after the first fifth, which fills what is kept
/// for later; and in words what it holds. `turn` returns a result code, and ends it all with an error.
template <typename Turn>
Said holdsNoMoreAfter(int nturns, const Turn& turn) {
  Holdings before;
  for (int i = 0; i < nturns; ++i) {
    if (i == nturns / 5) before = Holdings::now();
    const signcclResult_t result = turn(i);
    if (result != signcclSuccess) return lastError(result);
  }
  Holdings after;
  // Connections are closed in the background.
  const bool is_clean = eventually([&] {
    after = Holdings::now();
    return after.fitsInto(before);
  });
  return {is_clean ? signcclSuccess : signcclInternalError, before.text() + ", then " + after.text()};
}

TEST(HoldingsTest, MemoryThatIsUsedIsSeen) {
  if (kSanitized) GTEST_SKIP() << "sanitizers keep memory for themselves";
  const Holdings before = Holdings::now();
  const std::vector<char> used(2 * kMostGrowth, 1);
  EXPECT_FALSE(Holdings::now().fitsInto(before)) << before.text();
  // A compiler may leave out memory that nobody reads.
  EXPECT_EQ(std::count(used.begin(), used.end(), 1), static_cast<std::ptrdiff_t>(used.size()));
}

TEST(HoldingsTest, OpenDescriptorsAreSeen) {
  const Holdings before = Holdings::now();
  const int descriptor = dup(STDERR_FILENO);
  EXPECT_FALSE(Holdings::now().fitsInto(before)) << before.text();
  close(descriptor);
  EXPECT_TRUE(Holdings::now().fitsInto(before)) << before.text();
}

TEST(HoldingsTest, SegmentsAreSeen) {
  const Holdings before = Holdings::now();
  const int segment = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
  void* const memory = shmat(segment, nullptr, 0);
  EXPECT_FALSE(Holdings::now().fitsInto(before)) << before.text();
  EXPECT_TRUE(segmentsOfAll().contains("System V " + std::to_string(segment)));
  shmctl(segment, IPC_RMID, nullptr);
  shmdt(memory);
  EXPECT_TRUE(Holdings::now().fitsInto(before)) << before.text();

  const std::string name = "/signccl_test_" + std::to_string(getpid());
  const int file = shm_open(name.c_str(), O_CREAT | O_RDWR, 0600);
  void* const mapped = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0);
  EXPECT_TRUE(segmentsOfAll().contains("/dev/shm" + name));
  close(file);
  shm_unlink(name.c_str());
  EXPECT_FALSE(Holdings::now().fitsInto(before)) << before.text();
  munmap(mapped, 4096);
}

class ProcessLeakTest : public testing::Test {
 protected:
  void expectNothingIsLeft() const {
    std::set<std::string> left;
    // Other programs have segments too, and not for long.
    eventually([&] {
      const std::set<std::string> after = segmentsOfAll();
      left.clear();
      std::ranges::set_difference(after, before_, std::inserter(left, left.end()));
      return left.empty();
    });
    EXPECT_EQ(left, std::set<std::string>{});
  }

  static void expectClean(const Processes& processes) {
    for (int rank = 0; rank < kRanks; ++rank) {
      const Said said = processes.outcome(rank, kLongest);
      EXPECT_EQ(said.code, signcclSuccess) << "rank " << rank << ": " << said.text;
      RecordProperty("rank" + std::to_string(rank), said.text);
    }
  }

 private:
  const std::set<std::string> before_ = segmentsOfAll();
};

TEST_F(ProcessLeakTest, ManyCallsLeaveNothing) {
  constexpr int kCalls = kSanitized ? 10'000 : 100'000;
  {
    const Processes processes(kRanks, [](int rank, const signcclUniqueId& id) {
      Said found;
      const Said said = inGroup(rank, kRanks, id, nullptr, kLong, [&](signcclComm_t comm) {
        found = holdsNoMoreAfter(kCalls, [&](int) { return vote(comm); });
        return static_cast<signcclResult_t>(found.code);
      });
      return found.text.empty() ? said : found;
    });
    expectClean(processes);
  }
  expectNothingIsLeft();
}

/// Where rank 0 leaves the unique id of each turn.
struct Meeting {
  std::atomic<int> nturns;
  signcclUniqueId id;
};

/// The whole life of a communicator and of one that is split off, of all ranks or of each alone.
signcclResult_t live(int rank, int turn, Meeting& meeting) {
  if (rank == 0) {
    const signcclResult_t made = signcclGetUniqueId(&meeting.id);
    if (made != signcclSuccess) return made;
    meeting.nturns = turn + 1;
  }
  eventually([&] { return meeting.nturns > turn; });
  const Said said = inGroup(rank, kRanks, meeting.id, nullptr, kLong, [&](signcclComm_t comm) {
    signcclResult_t result = vote(comm);
    if (result != signcclSuccess) return result;
    signcclComm_t part = nullptr;
    result = signcclCommSplit(comm, turn % 2 == 0 ? 0 : rank, 0, &part, nullptr);
    if (result != signcclSuccess) return result;
    result = vote(part);
    const signcclResult_t destroyed = signcclCommDestroy(part);
    return result == signcclSuccess ? destroyed : result;
  });
  return static_cast<signcclResult_t>(said.code);
}

int cycles() {
  const char* const text = std::getenv("SIGNCCL_TEST_CYCLES");
  if (text != nullptr) return std::stoi(text);
  return kSanitized ? 20 : 100;
}

TEST_F(ProcessLeakTest, ManyCommunicatorsLeaveNothing) {
  {
    const Shared<Meeting> meeting;
    const Processes processes(kRanks, [&](int rank, const signcclUniqueId&) {
      return holdsNoMoreAfter(cycles(), [&](int turn) { return live(rank, turn, *meeting); });
    });
    expectClean(processes);
  }
  expectNothingIsLeft();
}

TEST_F(ProcessLeakTest, KilledProcessesLeaveNoSharedMemory) {
  const Shared<std::atomic<int>> ncalls;
  const Processes processes(kRanks, [&](int rank, const signcclUniqueId& id) {
    return inGroup(rank, kRanks, id, nullptr, kLong, [&](signcclComm_t comm) {
      signcclResult_t result = signcclSuccess;
      for (; result == signcclSuccess; ++*ncalls) result = vote(comm, 1'000'000);
      return result;
    });
  });
  EXPECT_TRUE(eventually([&] { return *ncalls > 10; }));
  for (int rank = 0; rank < kRanks; ++rank) processes.send(rank, SIGKILL);
  expectNothingIsLeft();
}

}  // namespace
}  // namespace signccl
