// SPDX-License-Identifier: Apache-2.0
#include "transport/matcher.h"

#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace signccl {
namespace {

using Texts = Matcher<std::string, int>;

TEST(MatcherTest, MessageMeetsTheReceiveThatWasPostedBefore) {
  Texts matcher;
  EXPECT_EQ(matcher.post(1, {.exchange = 5}, 7), std::nullopt);
  EXPECT_EQ(matcher.arrive(1, {.exchange = 5}, "message"), 7);
  EXPECT_EQ(matcher.arrive(1, {.exchange = 5}, "second"), std::nullopt) << "a receive is used once";
}

TEST(MatcherTest, ReceiveMeetsTheMessageThatArrivedBefore) {
  Texts matcher;
  EXPECT_EQ(matcher.arrive(1, {.exchange = 5}, "message"), std::nullopt);
  EXPECT_EQ(matcher.post(1, {.exchange = 5}, 7), "message");
  EXPECT_EQ(matcher.post(1, {.exchange = 5}, 7), std::nullopt) << "a message is used once";
}

TEST(MatcherTest, EveryPartOfTheTagAndTheSourceDecide) {
  const Tag tag{.exchange = 1, .slice = 2, .ordinal = 3, .digest = 4};
  Texts matcher;
  matcher.post(9, tag, 7);
  for (std::uint64_t Tag::* part : {&Tag::exchange, &Tag::digest}) {
    Tag other = tag;
    ++(other.*part);
    EXPECT_EQ(matcher.arrive(9, other, "other"), std::nullopt);
  }
  for (std::uint32_t Tag::* part : {&Tag::slice, &Tag::ordinal}) {
    Tag other = tag;
    ++(other.*part);
    EXPECT_EQ(matcher.arrive(9, other, "other"), std::nullopt);
  }
  EXPECT_EQ(matcher.arrive(8, tag, "other"), std::nullopt);
  EXPECT_EQ(matcher.arrive(9, tag, "message"), 7);
}

TEST(MatcherTest, TakenReceiveWaitsNoMore) {
  Texts matcher;
  EXPECT_EQ(matcher.takePosted(1, {}), std::nullopt);
  matcher.post(1, {}, 7);
  EXPECT_EQ(matcher.takePosted(1, {}), 7);
  EXPECT_EQ(matcher.arrive(1, {}, "message"), std::nullopt);
}

TEST(MatcherTest, MessagesWithoutAReceiveAreVisited) {
  Texts matcher;
  matcher.arrive(1, {.exchange = 1}, "a");
  matcher.arrive(1, {.exchange = 2}, "b");
  matcher.arrive(2, {.exchange = 1}, "c");
  matcher.post(1, {.exchange = 2}, 7);
  std::string visited;
  matcher.forEachArrival([&](const std::string& one) { visited += one; });
  std::ranges::sort(visited);
  EXPECT_EQ(visited, "ac");
}

TEST(MatcherTest, MessageThatMetItsReceiveIsLeftToTheCaller) {
  Matcher<std::unique_ptr<int>, int> matcher;
  matcher.post(1, {}, 7);
  auto message = std::make_unique<int>(3);
  EXPECT_EQ(matcher.arrive(1, {}, std::move(message)), 7);
  EXPECT_NE(message, nullptr);  // NOLINT(bugprone-use-after-move): that is what is tested
}

/// What a table must do, in the slowest way.
class SlowTable {
 public:
  void add(Rank source, const Tag& tag, int value) { values_.emplace(key(source, tag), value); }
  std::optional<int> take(Rank source, const Tag& tag) {
    const auto found = values_.find(key(source, tag));
    if (found == values_.end()) return std::nullopt;
    const int value = found->second;
    values_.erase(found);
    return value;
  }
  std::size_t size() const { return values_.size(); }

 private:
  using Key = std::tuple<Rank, std::uint64_t, std::uint32_t, std::uint32_t, std::uint64_t>;
  static Key key(Rank source, const Tag& tag) { return {source, tag.exchange, tag.slice, tag.ordinal, tag.digest}; }
  std::map<Key, int> values_;
};

class TagTableTest : public testing::TestWithParam<std::size_t> {};

TEST_P(TagTableTest, GivesWhatASlowTableGives) {
  const std::size_t most = GetParam();
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
  TagTable<int> table;
  SlowTable slow;
  for (int i = 0; i < 30'000; ++i) {
    const auto source = static_cast<Rank>(below(7));
    const Tag tag{.exchange = below(5), .slice = below(4), .ordinal = below(8), .digest = below(2)};
    // Grows to `most`, shrinks to nothing, and so on.
    const bool is_growing = (i / 3000) % 2 == 0;
    const std::optional<int> taken = table.take(source, tag);
    EXPECT_EQ(taken, slow.take(source, tag));
    if (!taken && is_growing && slow.size() < most) {
      table.add(source, tag, +i);
      slow.add(source, tag, i);
    }
    ASSERT_EQ(table.size(), slow.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Most, TagTableTest, testing::Values(3, 64, 65, 400, 2000));

TEST(TagTableTest, EqualKeysAreAllKept) {
  for (const int count : {3, 100}) {
    TagTable<int> table;
    for (int i = 0; i < count; ++i) table.add(1, {}, +i);
    std::vector<int> taken;
    while (const std::optional<int> one = table.take(1, {})) taken.push_back(*one);
    std::ranges::sort(taken);
    std::vector<int> expected;
    for (int i = 0; i < count; ++i) expected.push_back(i);
    EXPECT_EQ(taken, expected);
  }
}

}  // namespace
}  // namespace signccl
