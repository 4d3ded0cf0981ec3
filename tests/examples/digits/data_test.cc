// SPDX-License-Identifier: Apache-2.0
#include "data.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scratch.h"

namespace digits {
namespace {

const Digits& allDigits() {
  static const Digits kAll = readDigits(SIGNCCL_DIGITS_DATA);
  return kAll;
}

/// Digits that can be told apart by their first pixel.
Digits numberedDigits(std::size_t count) {
  Digits digits;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<float> image(kPixels, 0.0F);
    image[0] = static_cast<float>(i);
    digits.add(image, static_cast<std::uint8_t>(i % kClasses));
  }
  return digits;
}

std::string lineOf(const std::string& pixel, const std::string& label) {
  std::string line;
  for (std::size_t i = 0; i < kPixels; ++i) line += pixel + ",";
  return line + label + "\n";
}

/// What readDigits() says about a file with this content; empty if it accepts it.
std::string complaintAbout(const std::string& content) {
  const Scratch scratch;
  const auto path = scratch / "digits.csv";
  std::ofstream(path) << content;
  try {
    readDigits(path.string());
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return {};
}

TEST(ReadDigitsTest, FindsTheClassesInTheNumbersThatTheSourceStates) {
  std::map<int, int> counts;
  for (const std::uint8_t label : allDigits().labels) ++counts[label];
  EXPECT_EQ(allDigits().size(), 1797U);
  EXPECT_EQ(counts,
            (std::map<int, int>{
                {0, 178}, {1, 182}, {2, 177}, {3, 183}, {4, 181}, {5, 182}, {6, 181}, {7, 179}, {8, 174}, {9, 180}}));
}

TEST(ReadDigitsTest, ScalesPixelsToOne) {
  const auto [low, high] = std::ranges::minmax(allDigits().pixels);
  EXPECT_EQ(low, 0.0F);
  EXPECT_EQ(high, 1.0F);
}

TEST(ReadDigitsTest, AcceptsLinesThatEndWithACarriageReturn) {
  EXPECT_EQ(complaintAbout(lineOf("16", "9") + lineOf("0", "0\r")), "");
}

TEST(ReadDigitsTest, NamesTheLineThatIsWrong) {
  const std::string good = lineOf("3", "1");
  EXPECT_THAT(complaintAbout(good + lineOf("17", "1")), ::testing::HasSubstr(":2: expected"));
  EXPECT_THAT(complaintAbout(good + good + lineOf("3", "10")), ::testing::HasSubstr(":3: expected"));
  EXPECT_THAT(complaintAbout(lineOf("x", "1")), ::testing::HasSubstr(":1: expected"));
  EXPECT_THAT(complaintAbout(lineOf("3", "1,1")), ::testing::HasSubstr(":1: expected"));
  EXPECT_THAT(complaintAbout("1,2,3\n"), ::testing::HasSubstr(":1: expected"));
}

TEST(ReadDigitsTest, NamesAFileThatIsMissingOrEmpty) {
  EXPECT_THAT(complaintAbout(""), ::testing::HasSubstr("is empty"));
  EXPECT_THROW(readDigits("no/such/file.csv"), std::runtime_error);
}

TEST(SplitDigitsTest, HoldsOutAFifthOfEachClass) {
  const Split split = splitDigits(allDigits(), HeldOut::kTest);
  EXPECT_EQ(split.training.size() + split.held_out.size(), allDigits().size());
  for (std::size_t label = 0; label < kClasses; ++label) {
    const auto in_all = std::ranges::count(allDigits().labels, label);
    EXPECT_EQ(std::ranges::count(split.held_out.labels, label), in_all / 5) << label;
  }
}

TEST(SplitDigitsTest, ValidationTouchesNoDigitOfTheTest) {
  const Digits numbered = numberedDigits(500);
  const Split test = splitDigits(numbered, HeldOut::kTest);
  const Split validation = splitDigits(numbered, HeldOut::kValidation);
  std::set<float> seen;
  for (const Digits* part : {&test.held_out, &validation.held_out, &validation.training}) {
    for (std::size_t i = 0; i < part->size(); ++i) EXPECT_TRUE(seen.insert(part->image(i)[0]).second);
  }
  EXPECT_EQ(seen.size(), numbered.size());
}

TEST(ShardDigitsTest, DealsEveryDigitOnceAndEvenly) {
  const auto shards = shardDigits(numberedDigits(103), Sharding::kOwn, 8, 1);
  std::set<float> seen;
  for (const Digits& shard : shards) {
    EXPECT_GE(shard.size(), 12U);
    EXPECT_LE(shard.size(), 13U);
    for (std::size_t i = 0; i < shard.size(); ++i) EXPECT_TRUE(seen.insert(shard.image(i)[0]).second);
  }
  EXPECT_EQ(seen.size(), 103U);
}

TEST(ShardDigitsTest, DependsOnTheSeedAlone) {
  const Digits numbered = numberedDigits(100);
  EXPECT_EQ(shardDigits(numbered, Sharding::kOwn, 4, 1)[2].pixels,
            shardDigits(numbered, Sharding::kOwn, 4, 1)[2].pixels);
  EXPECT_NE(shardDigits(numbered, Sharding::kOwn, 4, 1)[2].pixels,
            shardDigits(numbered, Sharding::kOwn, 4, 2)[2].pixels);
}

TEST(ShardDigitsTest, GivesEveryWorkerTheWholeIfAsked) {
  const Digits numbered = numberedDigits(20);
  for (const Digits& shard : shardDigits(numbered, Sharding::kWhole, 3, 1)) EXPECT_EQ(shard.pixels, numbered.pixels);
}

TEST(BatchSamplerTest, DrawsEachDigitOnceBeforeAnyAgain) {
  Digits digits;
  for (std::uint8_t label = 0; label < kClasses; ++label) digits.add(std::vector<float>(kPixels), label);
  BatchSampler sampler(digits, 5, 1);
  for (int pass = 0; pass < 3; ++pass) {
    std::set<std::uint8_t> seen;
    for (int half = 0; half < 2; ++half) {
      const Digits& batch = sampler.next();
      ASSERT_EQ(batch.size(), 5U);
      seen.insert(batch.labels.begin(), batch.labels.end());
    }
    EXPECT_EQ(seen.size(), kClasses);
  }
}

TEST(BatchSamplerTest, MovesImagesByOnePixelAtMost) {
  constexpr std::size_t kMiddle = 3 * kSide + 4;
  Digits digits;
  std::vector<float> image(kPixels, 0.0F);
  image[kMiddle] = 1.0F;
  digits.add(image, 0);
  BatchSampler sampler(digits, 1000, 1);
  std::set<std::size_t> places;
  const Digits& batch = sampler.next();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto drawn = batch.image(i);
    EXPECT_EQ(std::accumulate(drawn.begin(), drawn.end(), 0.0F), 1.0F);
    places.insert(static_cast<std::size_t>(std::ranges::max_element(drawn) - drawn.begin()));
  }
  EXPECT_EQ(places, (std::set<std::size_t>{kMiddle, kMiddle - 1, kMiddle + 1, kMiddle - kSide, kMiddle + kSide}));
}

TEST(BatchSamplerTest, DropsWhatMovesOutAndBringsInZeros) {
  Digits digits;
  digits.add(std::vector<float>(kPixels, 1.0F), 0);
  BatchSampler sampler(digits, 100, 1);
  const Digits& batch = sampler.next();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto zeros = static_cast<std::size_t>(std::ranges::count(batch.image(i), 0.0F));
    EXPECT_TRUE(zeros == 0 || zeros == kSide) << zeros;
  }
}

TEST(BatchSamplerTest, RefusesAnEmptyShard) {
  const Digits none;
  EXPECT_THROW(BatchSampler(none, 1, 1), std::invalid_argument);
}

}  // namespace
}  // namespace digits
