// SPDX-License-Identifier: Apache-2.0
#include "base/fork.h"

#include <mutex>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace signccl {
namespace {

/// Runs `body` in a child of this process, where it returns whether all is as expected.
template <typename Body>
bool holdsInChild(const Body& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(ForkDepth, CountsForksAndKnowsTheProcessOfEach) {
  const pid_t parent = getpid();
  const std::uint8_t depth = forkDepth();
  EXPECT_EQ(processAtForkDepth(depth), parent);
  EXPECT_TRUE(holdsInChild([&] {
    const bool is_child =
        forkDepth() == depth + 1 && processAtForkDepth(depth) == parent && processAtForkDepth(forkDepth()) == getpid();
    return is_child && holdsInChild([&] { return forkDepth() == depth + 2; });
  }));
  EXPECT_EQ(forkDepth(), depth) << "the parent stays what it is";
}

struct Locked {
  std::mutex mutex;
  int value = 0;
};

TEST(PerProcess, GivesAChildAnObjectOfItsOwnWhateverWasLockedInTheParent) {
  static constinit PerProcess<Locked> objects;
  objects.get().value = 7;
  const std::unique_lock lock(objects.get().mutex);  // a child that took this one would wait for ever
  EXPECT_TRUE(holdsInChild([] {
    const std::lock_guard inner(objects.get().mutex);
    return objects.get().value == 0;
  }));
  EXPECT_EQ(objects.get().value, 7);
}

TEST(PerProcess, GivesAllThreadsTheSameObject) {
  static constinit PerProcess<Locked> objects;
  Locked* first = nullptr;
  Locked* second = nullptr;
  {
    const std::jthread one([&] { first = &objects.get(); });
    const std::jthread other([&] { second = &objects.get(); });
  }
  EXPECT_EQ(first, second);
}

}  // namespace
}  // namespace signccl
