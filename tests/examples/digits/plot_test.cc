// SPDX-License-Identifier: Apache-2.0
#include "plot.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scratch.h"

namespace digits {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Entry entryOf(Sharding sharding, MethodKind kind, int workers) {
  RunResult run;
  for (const int step : {0, 50, 100}) {
    run.curve.push_back({.step = step, .training = {}, .held_out = {.loss = 1, .accuracy = 0.9}});
  }
  return {.sharding = sharding, .method = {.kind = kind}, .workers = workers, .seeds = {1}, .runs = {run}};
}

std::string contentOf(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(PlotTest, WritesAPictureForEachShardingThatHasEntries) {
  const Scratch scratch;
  const auto written = writePlots(scratch.path(), {entryOf(Sharding::kWhole, MethodKind::kVote, 4)});
  ASSERT_EQ(written.size(), 1U);
  EXPECT_EQ(written[0].filename(), "digits_whole.svg");
  EXPECT_FALSE(std::filesystem::exists(scratch / "digits_own.svg"));
}

TEST(PlotTest, DrawsACurveAndADotForEveryEntry) {
  const Scratch scratch;
  writePlots(scratch.path(),
             {entryOf(Sharding::kOwn, MethodKind::kVote, 4), entryOf(Sharding::kOwn, MethodKind::kAdamW, 4),
              entryOf(Sharding::kOwn, MethodKind::kVote, 8), entryOf(Sharding::kOwn, MethodKind::kAdamW, 8)});
  const std::string svg = contentOf(scratch / "digits_own.svg");
  const auto occurrences = [&](const std::string& what) {
    int count = 0;
    for (std::size_t at = svg.find(what); at != std::string::npos; at = svg.find(what, at + 1)) ++count;
    return count;
  };
  EXPECT_EQ(occurrences("<polyline"), 4);
  EXPECT_EQ(occurrences("<circle"), 4);
  EXPECT_THAT(svg, HasSubstr("N = 8 workers"));
  EXPECT_THAT(svg, HasSubstr("AdamW, mean gradient"));
  EXPECT_THAT(svg, ::testing::EndsWith("</svg>\n"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(PlotTest, NamesAPlaceWhereItCannotWrite) {
  const Scratch scratch;
  EXPECT_THROW(writePlots(scratch / "missing", {entryOf(Sharding::kOwn, MethodKind::kAvg, 2)}), std::runtime_error);
}

}  // namespace
}  // namespace digits
