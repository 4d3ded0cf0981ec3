// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mean_group.h"
#include "model.h"
#include "scratch.h"

namespace digits {
namespace {

using ::testing::HasSubstr;

RunResult endingAt(double accuracy, double bytes_per_step) {
  RunResult run;
  run.curve = {{.step = 0, .training = {2.3, 0.1}, .held_out = {2.3, 0.1}},
               {.step = 10, .training = {0.1, 1.0}, .held_out = {0.25, accuracy}}};
  run.bytes_per_step = bytes_per_step;
  run.replicas_agree = true;
  return run;
}

Entry twoRuns(MethodKind kind) {
  return {.method = {.kind = kind}, .workers = 4, .seeds = {1, 2}, .runs = {endingAt(0.5, 1000), endingAt(0.75, 3000)}};
}

std::string printed(const std::vector<Entry>& entries) {
  std::ostringstream out;
  printHead(out, Sharding::kOwn);
  for (const Entry& entry : entries) printRow(out, entry);
  printFoot(out, entries);
  return out.str();
}

std::vector<std::string> linesOf(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST(SummariseTest, TakesMeanAndExtremesOfTheLastPoints) {
  const Summary summary = summarise(twoRuns(MethodKind::kVote));
  EXPECT_DOUBLE_EQ(summary.accuracy, 0.625);
  EXPECT_DOUBLE_EQ(summary.lowest_accuracy, 0.5);
  EXPECT_DOUBLE_EQ(summary.highest_accuracy, 0.75);
  EXPECT_DOUBLE_EQ(summary.held_out_loss, 0.25);
  EXPECT_DOUBLE_EQ(summary.bytes_per_step, 2000);
  EXPECT_TRUE(summary.replicas_agree);
}

TEST(SummariseTest, GivesBaselinesTheBytesOfAnFp32Ring) {
  const Summary summary = summarise(twoRuns(MethodKind::kAdamW));
  EXPECT_DOUBLE_EQ(summary.bytes_per_step, fp32RingBytes(4, Mlp().parameterCount()));
}

TEST(SummariseTest, OneRunWhoseReplicasDifferIsEnoughToSaySo) {
  Entry entry = twoRuns(MethodKind::kVote);
  entry.runs[1].replicas_agree = false;
  EXPECT_FALSE(summarise(entry).replicas_agree);
}

TEST(TableTest, ShowsAccuracyBytesAndTheRatioToFp32) {
  const std::string table = printed({twoRuns(MethodKind::kVote)});
  EXPECT_THAT(table, HasSubstr("D-Lion vote, tie zero"));
  EXPECT_THAT(table, HasSubstr("62.50  (50.00 .. 75.00)    0.250    2000"));
  EXPECT_THAT(table, HasSubstr("51.7"));  // 2 (4 - 1) / 4 x 4 x 17,226 bytes over 2,000
}

TEST(TableTest, SaysWhetherAllReplicasAgree) {
  Entry entry = twoRuns(MethodKind::kAvg);
  EXPECT_THAT(printed({entry}), HasSubstr("2 of 2 runs: OK"));
  entry.runs[0].replicas_agree = false;
  EXPECT_THAT(printed({entry}), HasSubstr("1 of 2 runs: FAILED"));
}

TEST(WriteCsvTest, HasALinePerPointAndPerEntry) {
  const Scratch scratch;
  const auto directory = scratch / "new";
  writeCsv(directory, {twoRuns(MethodKind::kVote), twoRuns(MethodKind::kLion)});
  const auto curves = linesOf(directory / "curves.csv");
  const auto summary = linesOf(directory / "summary.csv");
  ASSERT_EQ(curves.size(), 1U + 2 * 2 * 2);
  EXPECT_EQ(curves[0],
            "shards,workers,method,seed,step,training_loss,training_accuracy,held_out_loss,held_out_accuracy");
  EXPECT_EQ(curves[4], "own,4,vote-zero,2,10,0.1,1,0.25,0.75");
  ASSERT_EQ(summary.size(), 3U);
  EXPECT_THAT(summary[2], HasSubstr("own,4,lion,"));
}

TEST(WriteCsvTest, NamesAPlaceWhereItCannotWrite) {
  const Scratch scratch;
  const auto file = scratch / "file";
  std::ofstream(file) << "in the way";
  EXPECT_THROW(writeCsv(file, {twoRuns(MethodKind::kVote)}), std::runtime_error);
}

}  // namespace
}  // namespace digits
