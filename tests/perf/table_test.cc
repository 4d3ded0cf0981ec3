// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/table.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signccl::perf {
namespace {

using testing::HasSubstr;

Row someRow() {
  Row row;
  row.c.count = 1024;
  row.size_bytes = 4096;
  row.out_of_place = {12.5, 3.25, 4.875, 0.25, 0};
  row.in_place = {123456789.0, 0.001, 0.0015, 0.0001, std::nullopt};
  row.sent_bytes = 192;
  row.bits_per_element = 1.5;
  row.algorithm = "direct";
  row.timestamp = "2026-01-02 03:04:05";
  return row;
}

std::vector<std::string> fields(const std::string& line) {
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), {}};
}

TEST(TableTest, ARowHasTheColumnsOfNcclTestsFirst) {
  EXPECT_THAT(fields(formatRow(someRow(), {})),
              testing::ElementsAre("4096", "1024", "float", "vote", "-1", "12.50", "3.25", "4.88", "0", "1.2e+08",
                                   "0.00", "0.00", "N/A", "192", "0.25", "1.5000", "direct"));
}

TEST(TableTest, HeaderNamesEveryColumnAndRowsHaveAsMany) {
  const std::string header = formatHeader({}, {100, "avx2"}, {{"somewhere", 42, {}, {}}});
  std::istringstream lines(header);
  std::string line;
  std::string names;
  while (std::getline(lines, line)) {
    if (line.find("algbw") != std::string::npos) names = line;
  }
  std::vector<std::string> columns = fields(names);
  columns.erase(columns.begin());  // the hash
  EXPECT_EQ(columns.size(), fields(formatRow(someRow(), {})).size());
  EXPECT_THAT(columns, testing::Contains("wire"));
}

TEST(TableTest, TheFooterSaysThatBusbwIsNotWhatCrossedTheLink) {
  const std::string footer = formatFooter({}, {}, {});
  EXPECT_THAT(footer, HasSubstr("# busbw is what an all-reduce of the elements as they lie in memory would need"));
  EXPECT_THAT(footer, HasSubstr("wire"));
  std::istringstream lines(footer);
  for (std::string line; std::getline(lines, line);) EXPECT_THAT(line, testing::StartsWith("#"));
}

TEST(TableTest, TimestampsEndTheRowIfAskedFor) {
  Options options;
  options.report_timestamps = true;
  EXPECT_THAT(formatRow(someRow(), options), testing::EndsWith("2026-01-02 03:04:05\n"));
}

TEST(TableTest, HeaderLinesBeginWithAHash) {
  std::istringstream header(formatHeader({}, {100, "avx2"}, {{"somewhere", 42, {}, {}}}));
  std::string line;
  int nlines = 0;
  while (std::getline(header, line)) {
    EXPECT_THAT(line, testing::StartsWith("#"));
    ++nlines;
  }
  EXPECT_GT(nlines, 8);
}

TEST(TableTest, TheFooterSumsWrongElementsAndAveragesBandwidths) {
  Summary summary;
  Row row = someRow();
  row.out_of_place.nwrong = 2;
  row.in_place->nwrong = 3;
  row.out_of_place.busbw = 4;
  row.in_place->busbw = 2;
  summary.add(row);
  const std::string footer = formatFooter(summary, {}, {});
  EXPECT_THAT(footer, HasSubstr("# Out of bounds values : 5 FAILED\n"));
  EXPECT_THAT(footer, HasSubstr("# Avg bus bandwidth    : 3 \n"));
}

TEST(TableTest, ARunThatFailedIsNotCalledRight) {
  const std::string footer = formatFooter({}, {{"rank 1: gone"}, 0}, {});
  EXPECT_THAT(footer, HasSubstr("# Out of bounds values : 0 FAILED\n"));
  EXPECT_THAT(footer, HasSubstr("# Collective test failed: 1 of 2 ranks report an error\n"));
}

TEST(TableTest, BandwidthIsJudgedAtNinetyPercent) {
  Summary summary;
  Row row = someRow();
  row.out_of_place.busbw = 9;
  row.in_place = row.out_of_place;
  summary.add(row);
  Options options;
  EXPECT_TRUE(summary.bandwidthOkay(options));
  options.min_bus_bandwidth = 10;
  EXPECT_TRUE(summary.bandwidthOkay(options));
  options.min_bus_bandwidth = 10.1;
  EXPECT_FALSE(summary.bandwidthOkay(options));
  EXPECT_THAT(formatFooter(summary, {}, options), HasSubstr("9 FAILED"));
}

}  // namespace
}  // namespace signccl::perf
