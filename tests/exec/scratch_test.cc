// SPDX-License-Identifier: Apache-2.0
#include "exec/scratch.h"

#include <bit>
#include <cstdint>

#include <gtest/gtest.h>

#include "support/sanitizers.h"

namespace signccl {
namespace {

TEST(ScratchTest, GrowsToWhatIsAskedAndNeverShrinks) {
  Scratch scratch;
  EXPECT_EQ(scratch.bytes(), 0U);
  EXPECT_EQ(scratch.share(), nullptr);
  Word* const small = scratch.reserve(10);
  EXPECT_EQ(scratch.bytes(), 10 * sizeof(Word));
  EXPECT_EQ(scratch.reserve(3), small);
  Word* const large = scratch.reserve(1000);
  EXPECT_EQ(std::bit_cast<std::uintptr_t>(large) % 64, 0U);
  large[999] = 1;
  EXPECT_EQ(scratch.bytes(), 1000 * sizeof(Word));
}

TEST(ScratchTest, SharedMemoryOutlivesTheScratch) {
  std::shared_ptr<const void> kept;
  {
    Scratch scratch;
    *scratch.reserve(8) = 42;
    kept = scratch.share();
  }
  EXPECT_EQ(*static_cast<const Word*>(kept.get()), 42U);
}

TEST(ScratchTest, IsEmptyAfterALeakAndCanGrowAgain) {
  if (kSanitized) GTEST_SKIP() << "sanitizers find the leak";
  Scratch scratch;
  const std::weak_ptr<const void> leaked = [&] {
    scratch.reserve(8);
    return scratch.share();
  }();
  scratch.leak();
  EXPECT_EQ(scratch.bytes(), 0U);
  ASSERT_FALSE(leaked.expired()) << "peers may still read it";
  scratch.reserve(8);
  EXPECT_EQ(scratch.bytes(), 8 * sizeof(Word));
}

}  // namespace
}  // namespace signccl
