// SPDX-License-Identifier: Apache-2.0
#include "tuning/tuning_table.h"

#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/caught.h"

namespace signccl {
namespace {

using testing::HasSubstr;

/// A file with these groups.
std::string fileOf(const std::string& groups) {
  return R"({"format": "signccl-tuning", "version": 1, "groups": [)" + groups + "]}";
}

std::string groupOf(const std::string& choices, const std::string& head = R"("nranks": 4, "nnodes": 2)") {
  return R"({"collective": "vote", )" + head + R"(, "choices": [)" + choices + "]}";
}

const std::string kChoices = R"({"from_count": 0, "algorithm": "tree"}, {"from_count": 1000, "algorithm": "direct"})";

Caught errorOf(const std::string& text) {
  return caught([&] { TuningTable::parse(text, "t.json"); });
}

TEST(TuningTableTest, ChoosesByTheLargestCountThatIsNotAbove) {
  const auto table = TuningTable::parse(fileOf(groupOf(kChoices)), "t.json");
  const Topology topology = Topology::uniform(4, 2);
  EXPECT_EQ(table->choose(SignOp::kVote, topology, 0), Algorithm::kTree);
  EXPECT_EQ(table->choose(SignOp::kVote, topology, 999), Algorithm::kTree);
  EXPECT_EQ(table->choose(SignOp::kVote, topology, 1000), Algorithm::kDirect);
  EXPECT_EQ(table->choose(SignOp::kVote, topology, SIZE_MAX), Algorithm::kDirect);
}

TEST(TuningTableTest, SaysNothingBelowTheFirstChoiceNorWhereItNamesTheModel) {
  const auto table = TuningTable::parse(
      fileOf(groupOf(R"({"from_count": 100, "algorithm": "tree"}, {"from_count": 200, "algorithm": "model"},)"
                     R"( {"from_count": 300, "algorithm": "ring"})")),
      "t.json");
  const Topology topology = Topology::uniform(4, 2);
  EXPECT_FALSE(table->choose(SignOp::kVote, topology, 0));
  EXPECT_FALSE(table->choose(SignOp::kVote, topology, 99));
  EXPECT_EQ(table->choose(SignOp::kVote, topology, 100), Algorithm::kTree);
  EXPECT_FALSE(table->choose(SignOp::kVote, topology, 200));
  EXPECT_FALSE(table->choose(SignOp::kVote, topology, 299));
  EXPECT_EQ(table->choose(SignOp::kVote, topology, 300), Algorithm::kRing);
}

TEST(TuningTableTest, SaysNothingOfOtherGroups) {
  const auto table = TuningTable::parse(fileOf(groupOf(kChoices)), "t.json");
  EXPECT_FALSE(table->choose(SignOp::kAvg, Topology::uniform(4, 2), 1));
  EXPECT_FALSE(table->choose(SignOp::kVote, Topology::singleNode(4), 1));
  EXPECT_FALSE(table->choose(SignOp::kVote, Topology::uniform(6, 3), 1));
}

TEST(TuningTableTest, DigestIsThatOfWhatTheTableSays) {
  const std::string other = groupOf(kChoices, R"("nnodes": 1, "nranks": 3)");
  const auto digest_of = [](const std::string& groups) {
    return TuningTable::parse(fileOf(groups), "t.json")->digest();
  };
  EXPECT_EQ(digest_of(groupOf(kChoices) + "," + other), digest_of(other + ", " + groupOf(kChoices)));
  EXPECT_NE(digest_of(groupOf(kChoices)), digest_of(other));
  EXPECT_NE(digest_of(groupOf(R"({"from_count": 0, "algorithm": "model"})")),
            digest_of(groupOf(R"({"from_count": 0, "algorithm": "oneshot"})")));
  EXPECT_NE(digest_of(groupOf(kChoices)), digest_of(groupOf(R"({"from_count": 0, "algorithm": "tree"})")));
}

TEST(TuningTableTest, FileThatIsNotThereIsAnErrorWithItsName) {
  const Caught error = caught([] { TuningTable::read("/no/such/table.json"); });
  EXPECT_EQ(error.code, signcclInvalidUsage);
  EXPECT_THAT(error.message, HasSubstr("SIGNCCL_TUNING_FILE=/no/such/table.json"));
}

TEST(TuningTableTest, EveryOtherFileIsAnErrorWithThePlaceTheValueAndWhatWasExpected) {
  const struct {
    std::string text;
    std::string message;
  } cases[] = {
      {"", "t.json is no JSON"},
      {"{", "t.json is no JSON"},
      {"[]", "t.json: file is [], expected an object with format, version, groups"},
      {R"({"format": "signccl-tuning", "version": 1})", "expected a member 'groups'"},
      {R"({"format": "x", "version": 1, "groups": []})", "file.format is \"x\", expected signccl-tuning"},
      {R"({"format": "signccl-tuning", "version": 2, "groups": []})", "file.version is 2, expected version 1"},
      {fileOf(""), "file.groups is [], expected a list that is not empty"},
      {fileOf("7"), "file.groups[0] is 7, expected an object"},
      {fileOf(groupOf(kChoices, R"("nranks": 0, "nnodes": 1)")), "nranks is 0, expected an integer from 1 to 32767"},
      {fileOf(groupOf(kChoices, R"("nranks": 2.5, "nnodes": 1)")), "nranks is 2.5, expected an integer"},
      {fileOf(groupOf(kChoices, R"("nranks": 18446744073709551615, "nnodes": 1)")), "expected an integer"},
      {fileOf(groupOf(kChoices, R"("nranks": 2, "nnodes": 3)")), "nnodes is 3, expected an integer from 1 to 2"},
      {fileOf(groupOf(kChoices, R"("nranks": 2, "nnodes": 1, "rank": 0)")), "rank is 0, expected no such member"},
      {fileOf(groupOf("")), "choices is [], expected a list that is not empty"},
      {fileOf(groupOf(R"({"from_count": -1, "algorithm": "tree"})")), "from_count is -1, expected an integer from 0"},
      {fileOf(groupOf(kChoices + R"(, {"from_count": 1000, "algorithm": "ring"})")),
       "choices[2].from_count is 1000, expected more than in the choice before"},
      {fileOf(groupOf(R"({"from_count": 0, "algorithm": "Tree"})")),
       "algorithm is \"Tree\", expected one of oneshot, direct, ring, tree, knomial, hierarchical, model"},
      {fileOf(groupOf(R"({"from_count": 0, "algorithm": 3})")), "algorithm is 3, expected a text"},
      {fileOf(groupOf(kChoices) + "," + groupOf(kChoices)), "file.groups[1] is"},
      {R"({"format": "signccl-tuning", "version": 1, "groups": [{"collective": "sum", "nranks": 1, "nnodes": 1,)"
       R"( "choices": [{"from_count": 0, "algorithm": "tree"}]}]})",
       "collective is \"sum\", expected vote or avg"},
  };
  for (const auto& one : cases) {
    const Caught error = errorOf(one.text);
    EXPECT_EQ(error.code, signcclInvalidUsage) << one.text;
    EXPECT_THAT(error.message, HasSubstr(one.message)) << one.text;
  }
}

}  // namespace
}  // namespace signccl
