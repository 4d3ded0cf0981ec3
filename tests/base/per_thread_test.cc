// SPDX-License-Identifier: Apache-2.0
#include "base/per_thread.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace signccl {
namespace {

struct Counted {
  Counted() { ++alive; }
  ~Counted() { --alive; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  static inline std::atomic<int> alive = 0;
  int value = 0;
};

TEST(PerThreadTest, IsOneForEachThreadAndGoesWithIt) {
  using Object = PerThread<Counted, struct First>;
  Object::get().value = 1;
  std::jthread([] {
    EXPECT_EQ(Object::find(), nullptr);
    Object::get().value = 2;
    EXPECT_EQ(Counted::alive, 2);
    EXPECT_EQ(Object::get().value, 2);
  }).join();
  EXPECT_EQ(Counted::alive, 1);
  EXPECT_EQ(Object::get().value, 1);
}

TEST(PerThreadTest, IsOneForEachTag) {
  using One = PerThread<Counted, struct TagOfOne>;
  using Other = PerThread<Counted, struct TagOfOther>;
  EXPECT_NE(&One::get(), &Other::get());
}

TEST(PerThreadTest, IsThereAgainAfterTheEndOfThatOfTheThread) {
  using Object = PerThread<Counted, struct Late>;
  /// As the destructor of an object of static life: it runs after those of the thread's objects that were made later.
  struct UsesItLate {
    ~UsesItLate() { *late = Object::get().value; }
    int* late = nullptr;
  };
  int late = -1;
  std::jthread([&] {
    thread_local UsesItLate user;
    user.late = &late;
    Object::get().value = 7;
  }).join();
  EXPECT_EQ(late, 0) << "a new one";
  EXPECT_EQ(Object::find(), nullptr) << "of another thread";
}

}  // namespace
}  // namespace signccl
