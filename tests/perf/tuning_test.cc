#include "sign_all_reduce_perf/tuning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signccl::perf {
namespace {

using Json = nlohmann::ordered_json;
using testing::ElementsAre;
using testing::HasSubstr;

Row rowOf(const std::string& algorithm, std::size_t count, double time_us, SignOp op = SignOp::kVote) {
  Row row;
  row.c.op = op;
  row.c.count = count;
  row.algorithm = algorithm;
  row.out_of_place.time_us = time_us;
  return row;
}

Json choice(std::size_t from, const std::string& algorithm) { return {{"from_count", from}, {"algorithm", algorithm}}; }

TEST(TuningTest, HierarchicalIsTriedWhereNodesHaveSeveralRanks) {
  EXPECT_THAT(algorithmsToTune(4, 1), ElementsAre("oneshot", "direct", "ring", "tree", "knomial"));
  EXPECT_THAT(algorithmsToTune(4, 4), ElementsAre("oneshot", "direct", "ring", "tree", "knomial"));
  EXPECT_THAT(algorithmsToTune(4, 2), testing::Contains("hierarchical"));
}

TEST(TuningTest, HostsOfDifferentNamesAreDifferentNodes) {
  EXPECT_EQ(countNodes({{"a", 1, "m"}, {"a", 2, "m"}}), 1);
  EXPECT_EQ(countNodes({{"a", 1, "m"}, {"b", 2, "m"}, {"b", 3, "n"}}), 3);
}

TEST(TuningTest, FastestOfEachSizeIsChosenAndEqualNeighboursAreOneChoice) {
  TuningRecord record(4, 2);
  for (const std::size_t count : {100U, 200U, 400U, 1600U}) {
    record.add(rowOf("ring", count, count < 300 ? 1 : 9));
    record.add(rowOf("tree", count, 5));
  }
  record.add(rowOf("tree", 200, 0.5));  // a second run, which was faster
  const Json groups = record.mergedInto("")["groups"];
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0]["collective"], "vote");
  EXPECT_EQ(groups[0]["nranks"], 4);
  EXPECT_EQ(groups[0]["nnodes"], 2);
  // Borders lie at geometric means: sqrt(100 * 200) is 141.4.
  EXPECT_EQ(groups[0]["choices"], Json::array({choice(0, "ring"), choice(142, "tree")}));
}

TEST(TuningTest, WhatTheFileSaysOfOtherGroupsStays) {
  TuningRecord two(2, 1);
  two.add(rowOf("ring", 10, 1));
  TuningRecord four(4, 1);
  four.add(rowOf("tree", 10, 1));
  four.add(rowOf("oneshot", 10, 1, SignOp::kAvg));
  TuningRecord two_again(2, 1);
  two_again.add(rowOf("direct", 10, 1));
  const std::string file = two_again.mergedInto(four.mergedInto(two.mergedInto("").dump()).dump()).dump();
  const Json groups = Json::parse(file)["groups"];
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[2]["nranks"], 2);
  EXPECT_EQ(groups[2]["choices"], Json::array({choice(0, "direct")}));
}

TEST(TuningTest, OtherFilesAreNotOverwritten) {
  TuningRecord record(2, 1);
  record.add(rowOf("ring", 10, 1));
  for (const char* file : {"notes", "{}", "[1]", R"({"format": "signccl-tuning", "version": 2, "groups": []})"}) {
    try {
      (void)record.mergedInto(file);
      FAIL() << file;
    } catch (const OptionError& error) {
      EXPECT_THAT(error.what(), HasSubstr("no tuning file"));
    }
  }
}

}  // namespace
}  // namespace signccl::perf
