#include "plot.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

class PlotTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] std::string contentOf(const std::string& name) const {
    std::ifstream file(directory_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::filesystem::path directory_ = std::filesystem::temp_directory_path() / "digits_plot_test";
};

TEST_F(PlotTest, WritesAPictureForEachShardingThatHasEntries) {
  const auto written = writePlots(directory_, {entryOf(Sharding::kWhole, MethodKind::kVote, 4)});
  ASSERT_EQ(written.size(), 1U);
  EXPECT_EQ(written[0].filename(), "digits_whole.svg");
  EXPECT_FALSE(std::filesystem::exists(directory_ / "digits_own.svg"));
}

TEST_F(PlotTest, DrawsACurveAndADotForEveryEntry) {
  writePlots(directory_,
             {entryOf(Sharding::kOwn, MethodKind::kVote, 4), entryOf(Sharding::kOwn, MethodKind::kAdamW, 4),
              entryOf(Sharding::kOwn, MethodKind::kVote, 8), entryOf(Sharding::kOwn, MethodKind::kAdamW, 8)});
  const std::string svg = contentOf("digits_own.svg");
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

TEST_F(PlotTest, NamesAPlaceWhereItCannotWrite) {
  EXPECT_THROW(writePlots(directory_ / "missing", {entryOf(Sharding::kOwn, MethodKind::kAvg, 2)}), std::runtime_error);
}

}  // namespace
}  // namespace digits
