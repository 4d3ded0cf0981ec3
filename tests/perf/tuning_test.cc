// SPDX-License-Identifier: Apache-2.0
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
  row.in_place = row.out_of_place;
  return row;
}

Json choice(std::size_t from, const std::string& algorithm) { return {{"from_count", from}, {"algorithm", algorithm}}; }

TEST(TuningTest, HierarchicalIsTriedWhereNodesHaveSeveralRanks) {
  EXPECT_THAT(algorithmsToTune(4, 1), ElementsAre("oneshot", "direct", "ring", "tree", "knomial"));
  EXPECT_THAT(algorithmsToTune(4, 4), ElementsAre("oneshot", "direct", "ring", "tree", "knomial"));
  EXPECT_THAT(algorithmsToTune(4, 2), testing::Contains("hierarchical"));
}

TEST(TuningTest, HostsOfDifferentNamesAreDifferentNodes) {
  EXPECT_EQ(countNodes({{"a", 1, "m", {}}, {"a", 2, "m", {}}}), 1);
  EXPECT_EQ(countNodes({{"a", 1, "m", {}}, {"b", 2, "m", {}}, {"b", 3, "n", {}}}), 3);
}

/// Three rounds of these times, and what the model chooses.
void measured(TuningRecord& record, std::size_t count, const std::string& by_model,
              const std::vector<std::pair<std::string, std::vector<double>>>& rounds, SignOp op = SignOp::kVote) {
  record.addChoiceOfModel(rowOf(by_model, count, 0, op));
  for (const auto& [algorithm, times] : rounds) {
    for (const double time_us : times) record.add(rowOf(algorithm, count, time_us, op));
  }
}

TEST(TuningTest, AnAlgorithmThatIsFasterInEveryRoundOverrulesTheModel) {
  TuningRecord record(4, 2);
  measured(record, 100, "oneshot", {{"oneshot", {10, 11, 12}}, {"ring", {8, 7, 9}}, {"tree", {6, 6, 9.9}}});
  measured(record, 400, "oneshot", {{"oneshot", {10, 11, 12}}, {"ring", {20, 20, 20}}, {"tree", {6, 6, 6}}});
  const Json groups = record.mergedInto("")["groups"];
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0]["collective"], "vote");
  EXPECT_EQ(groups[0]["nranks"], 4);
  EXPECT_EQ(groups[0]["nnodes"], 2);
  EXPECT_EQ(groups[0]["choices"], Json::array({choice(100, "tree"), choice(800, "model")}));
}

TEST(TuningTest, NoiseDoesNotOverruleTheModel) {
  TuningRecord record(4, 1);
  // Once slower than the model's choice was once; better by less than a twentieth; not better in place.
  measured(record, 100, "direct", {{"direct", {10, 11, 12}}, {"knomial", {5, 6, 10.1}}});
  measured(record, 200, "direct", {{"direct", {10, 10, 10}}, {"knomial", {9.6, 9.6, 9.6}}});
  measured(record, 400, "direct", {{"direct", {10, 10, 10}}});
  for (int round = 0; round < 3; ++round) {
    Row row = rowOf("knomial", 400, 5);
    row.in_place->time_us = 10;
    record.add(row);
  }
  EXPECT_EQ(record.mergedInto("")["groups"][0]["choices"], Json::array({choice(100, "model")}));
  EXPECT_THAT(record.text(),
              HasSubstr("# vote of 100 elements: as the model says, 11.00 us (direct); knomial took 6.00 us, "
                        "which may be noise\n"));
}

TEST(TuningTest, OneThatIsCertainlyBetterGoesBeforeOneThatMayBe) {
  TuningRecord record(4, 1);
  measured(record, 100, "direct", {{"direct", {10, 10, 10}}, {"ring", {5, 5, 11}}, {"tree", {8, 8, 8}}});
  EXPECT_EQ(record.mergedInto("")["groups"][0]["choices"], Json::array({choice(100, "tree"), choice(200, "model")}));
  EXPECT_THAT(record.text(), HasSubstr("# vote of 100 elements: tree, 8.00 us instead of 10.00 us (direct)\n"));
}

TEST(TuningTest, ChoicesBeginAtTheSmallestSizeAndHaveBordersAtGeometricMeans) {
  TuningRecord record(4, 1);
  for (const std::size_t count : {100U, 200U, 400U, 1600U}) {
    const bool is_small = count < 300;
    measured(
        record, count, "oneshot",
        {{"oneshot", {5, 5, 5}}, {is_small ? "ring" : "tree", {1, 1, 1}}, {is_small ? "tree" : "ring", {9, 9, 9}}});
  }
  // sqrt(200 * 400) is 282.8.
  EXPECT_EQ(record.mergedInto("")["groups"][0]["choices"],
            Json::array({choice(100, "ring"), choice(283, "tree"), choice(3200, "model")}));
}

TEST(TuningTest, OneSizeIsAWarning) {
  TuningRecord record(2, 1);
  measured(record, 1000, "oneshot", {{"oneshot", {1, 1, 1}}});
  EXPECT_THAT(record.text(),
              HasSubstr("# Warning: one size was measured, so the file decides for 1000 to 1999 elements"));
  measured(record, 2000, "oneshot", {{"oneshot", {1, 1, 1}}});
  EXPECT_THAT(record.text(), testing::Not(HasSubstr("Warning")));
}

TEST(TuningTest, WhatTheModelChoosesMustBeMeasured) {
  TuningRecord record(4, 1);
  try {
    record.addChoiceOfModel(rowOf("hierarchical", 10, 1));
    FAIL() << "accepted";
  } catch (const OptionError& error) {
    EXPECT_THAT(error.what(), HasSubstr("the library chooses hierarchical for 10 elements, which is not measured"));
  }
}

TEST(TuningTest, WhatTheFileSaysOfOtherGroupsStays) {
  TuningRecord two(2, 1);
  measured(two, 10, "ring", {{"ring", {1, 1, 1}}});
  TuningRecord four(4, 1);
  measured(four, 10, "ring", {{"ring", {1, 1, 1}}});
  measured(four, 10, "oneshot", {{"oneshot", {1, 1, 1}}}, SignOp::kAvg);
  TuningRecord two_again(2, 1);
  measured(two_again, 10, "ring", {{"ring", {2, 2, 2}}, {"direct", {1, 1, 1}}});
  const std::string file = two_again.mergedInto(four.mergedInto(two.mergedInto("").dump()).dump()).dump();
  const Json groups = Json::parse(file)["groups"];
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[2]["nranks"], 2);
  EXPECT_EQ(groups[2]["choices"], Json::array({choice(10, "direct"), choice(20, "model")}));
}

TEST(TuningTest, OtherFilesAreNotOverwritten) {
  TuningRecord record(2, 1);
  measured(record, 10, "ring", {{"ring", {1, 1, 1}}});
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
