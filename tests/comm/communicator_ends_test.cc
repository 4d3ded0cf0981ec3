// SPDX-License-Identifier: Apache-2.0
// Exchanges that nobody waits for and whose ends are outside of the engine.
#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exec/external_ends.h"
#include "failing_ranks.h"

namespace signccl {
namespace {

using ::testing::HasSubstr;

constexpr std::chrono::milliseconds kShort{50};

/// One word of signs, which come when the test says.
class OneWordEnds final : public ExternalEnds {
 public:
  explicit OneWordEnds(Word signs) : memory_{signs, 0, 0, 0} {}

  [[nodiscard]] Word* memoryOf(std::size_t) noexcept override { return memory_; }
  [[nodiscard]] bool hasSigns(std::size_t) noexcept override { return has_signs.load(); }
  [[nodiscard]] std::uint32_t note(std::size_t) noexcept override { return 0; }
  void end(std::size_t, std::uint32_t) noexcept override {
    result.store(memory_[1]);
    ++ended;
  }
  void fail() noexcept override { ++failed; }

  std::atomic<bool> has_signs = false;
  std::atomic<Word> result = 0;
  std::atomic<int> ended = 0;
  std::atomic<int> failed = 0;

 private:
  Word memory_[4];
};

Operation& submit(Communicator& comm, const std::shared_ptr<OneWordEnds>& ends) {
  Segment segment{.source = elementSource(ElementType::kInt8, nullptr),
                  .sink = elementSink(ElementType::kInt8, nullptr),
                  .count = kWordBits,
                  .call = comm.takeCallNumber()};
  return comm.submit({.rules = {}, .segments = {&segment, 1}, .in_background = true, .holders = 0, .ends = ends});
}

template <typename Done>
bool comesTrue(const Done& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(100);
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

TEST(CommunicatorEndsTest, AnExchangeThatNobodyWaitsForGivesItsResultToItsEnds) {
  CommRanks ranks(3);
  std::vector<std::shared_ptr<OneWordEnds>> ends;
  for (Rank rank = 0; rank < 3; ++rank) {
    ends.push_back(std::make_shared<OneWordEnds>(rank == 0 ? 0b0011 : 0b0101));
    submit(ranks[rank], ends.back());
  }
  for (const auto& own : ends) own->has_signs = true;
  for (const auto& own : ends) {
    ASSERT_TRUE(comesTrue([&] { return own->ended == 1; }));
    EXPECT_EQ(own->result, 0b0101U);
    EXPECT_EQ(own->failed, 0);
  }
  for (Rank rank = 0; rank < 3; ++rank) ranks[rank].finalize();
}

TEST(CommunicatorEndsTest, OperationsThatNobodyHoldsAreUsedAgain) {
  CommRanks ranks(1);
  std::set<const Operation*> operations;
  for (int call = 0; call < 100; ++call) {
    const auto ends = std::make_shared<OneWordEnds>(call);
    ends->has_signs = true;
    operations.insert(&submit(ranks[0], ends));
    ASSERT_TRUE(comesTrue([&] { return ranks[0].asyncError() == signcclSuccess; }));
    EXPECT_EQ(ends->result, static_cast<Word>(call));
    EXPECT_EQ(ends.use_count(), 1) << "the communicator still holds the ends";
  }
  EXPECT_LE(operations.size(), 2U);
}

TEST(CommunicatorEndsTest, AbortFailsTheEndsOfAllExchangesOfAllRanks) {
  CommRanks ranks(2);
  std::vector<std::shared_ptr<OneWordEnds>> ends;
  for (int call = 0; call < 2; ++call) {
    for (Rank rank = 0; rank < 2; ++rank) {
      ends.push_back(std::make_shared<OneWordEnds>(0));
      submit(ranks[rank], ends.back());
    }
  }
  ranks[1].abort();
  for (const auto& own : ends) {
    EXPECT_TRUE(comesTrue([&] { return own->failed == 1; }));
    EXPECT_EQ(own->ended, 0);
  }
}

TEST(CommunicatorEndsTest, TheDeadlineRunsFromTheSignsAndNotFromTheCall) {
  CommRanks ranks(1, optionsWith(Algorithm::kDirect, kShort));
  const auto ends = std::make_shared<OneWordEnds>(7);
  submit(ranks[0], ends);
  std::this_thread::sleep_for(4 * kShort);
  EXPECT_FALSE(ranks[0].failed());
  ends->has_signs = true;
  EXPECT_TRUE(comesTrue([&] { return ends->ended == 1; }));
}

TEST(CommunicatorEndsTest, AfterTheSignsThereIsADeadline) {
  CommRanks ranks(2, optionsWith(Algorithm::kDirect, kShort));
  const auto ends = std::make_shared<OneWordEnds>(7);
  ends->has_signs = true;
  submit(ranks[0], ends);
  EXPECT_TRUE(comesTrue([&] { return ends->failed == 1; }));
  EXPECT_EQ(ranks[0].failure().message, "rank 0 waited 50 ms for rank 1 in exchange number 0");
}

TEST(CommunicatorEndsTest, FinalizeWaitsForSignsNoLongerThanTheDeadline) {
  CommRanks ranks(1, optionsWith(Algorithm::kDirect, kShort));
  const auto ends = std::make_shared<OneWordEnds>(7);
  submit(ranks[0], ends);
  const Caught error = caught([&] { ranks[0].finalize(); });
  EXPECT_EQ(error,
            (Caught{signcclTimeout, "rank 0 waited 50 ms for the stream that encodes its signs of exchange number 0"}));
  EXPECT_EQ(ends->failed, 1);
}

TEST(CommunicatorEndsTest, WhoeverHasNoExternalEndsVotesWithThoseWhoHave) {
  CommRanks ranks(2);
  const auto ends = std::make_shared<OneWordEnds>(~Word{0});
  ends->has_signs = true;
  submit(ranks[0], ends);
  Call call(std::vector<std::int8_t>(kWordBits, 1));
  call.run(ranks[1]);
  EXPECT_EQ(call.result(), std::vector<std::int8_t>(kWordBits, 1));
  EXPECT_TRUE(comesTrue([&] { return ends->ended == 1; }));
  EXPECT_EQ(ends->result, ~Word{0});
}

TEST(CommunicatorEndsTest, DestroyingARankFailsItsEnds) {
  CommRanks ranks(2);
  const auto ends = std::make_shared<OneWordEnds>(1);
  submit(ranks[0], ends);
  ranks.destroy(0);
  EXPECT_EQ(ends->failed, 1);
  EXPECT_THAT(ranks[1].failure().message, HasSubstr("rank 0 destroyed its communicator"));
}

}  // namespace
}  // namespace signccl
