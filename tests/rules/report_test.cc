// SPDX-License-Identifier: Apache-2.0
#include "rules/report.h"

#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules/captured_log.h"

namespace signccl::rules {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Settings settingsOf(const std::string& mode) {
  return Settings::load([&](const char* name) -> std::string {
    if (std::string(name) == "SIGNCCL_INTERPOSE") return mode;
    if (std::string(name) != "SIGNCCL_RULES") return {};
    return R"({"version": 1, "rules": [{"name": "small", "match": {"count": {"max": 9}}, "action": "forward"},
               {"name": "signs", "match": {"op": "sum"}, "action": "sign_sum"}]})";
  });
}

Call exampleCall() {
  Call call;
  call.type = ElementType::kFloat32;
  call.op = ReduceOp::kSum;
  call.count = 1000000;
  call.ranks = 4;
  call.comm_name = "dp";
  return call;
}

TEST(ReportTest, ARingSendsTheVectorNearlyTwice) {
  EXPECT_EQ(ringBytes(ElementType::kFloat32, 1000, 4), 6000U);
  EXPECT_EQ(ringBytes(ElementType::kInt8, 10, 3), 13U);
  EXPECT_EQ(ringBytes(ElementType::kInt8, 10, 1), 0U);
  EXPECT_EQ(ringBytes(ElementType::kFloat64, std::uint64_t{1} << 58U, 2), std::uint64_t{1} << 61U);
}

TEST(ReportTest, TheBeginningNamesModeDigestLibraryAndRules) {
  const Settings settings = settingsOf("on");
  const CapturedLog log(LogLevel::kInfo);
  Report report(settings, log.log());
  report.setRank(0);
  report.begin("MPI is Open MPI");
  EXPECT_THAT(
      log.lines(),
      ElementsAre("[0] SIGNCCL INFO interposition is on, rules: 2, digest " + digestText(settings.digest()) +
                      ", MPI is Open MPI",
                  "[0] SIGNCCL INFO rule 'small': type any, op any, count 1 to 9, ranks any -> forward",
                  "[0] SIGNCCL INFO rule 'signs': type any, op sum, count 65536 or more, ranks any -> sign_sum"));
}

TEST(ReportTest, TheFirstMatchAndTheFirstFallbackAreSaidOnce) {
  const Settings settings = settingsOf("on");
  const CapturedLog log(LogLevel::kInfo);
  Report report(settings, log.log());
  report.setRank(3);
  for (int i = 0; i < 3; ++i) {
    report.matched(1, exampleCall());
    report.fellBack(1, {Values::kOther, 17 + i, 2.5, 1000, {}});
  }
  EXPECT_THAT(
      log.lines(),
      ElementsAre("[3] SIGNCCL INFO rule 'signs' matches for the first time: float32, sum, 1000000 elements, 4 "
                  "ranks, communicator 'dp' -> sign_sum",
                  "[3] SIGNCCL INFO rule 'signs' falls back for the first time: element 17 of this rank is 2.5, "
                  "which does not fit; the call is forwarded"));
}

TEST(ReportTest, AFallbackThatIsDueToAnotherRankSaysSo) {
  const Settings settings = settingsOf("on");
  const CapturedLog log(LogLevel::kInfo);
  Report report(settings, log.log());
  report.fellBack(1, {Values::kOther, -1, 0, 0, {}});
  EXPECT_THAT(log.lines(),
              ElementsAre("SIGNCCL INFO rule 'signs' falls back for the first time: all elements of this rank "
                          "fit, and those of another rank do not; the call is forwarded"));
}

TEST(ReportTest, BuffersThatCannotBeTakenAreNoMisfitOfAnotherRank) {
  const Settings settings = settingsOf("on");
  const CapturedLog log(LogLevel::kInfo);
  Report report(settings, log.log());
  report.fellBack(1, {Values::kOther, -1, 0, 0, "sendbuff is managed memory"});
  EXPECT_THAT(log.lines(), ElementsAre("SIGNCCL INFO rule 'signs' falls back for the first time: this rank's buffers "
                                       "cannot be taken (sendbuff is managed memory); the call is forwarded"));
}

TEST(ReportTest, EachReasonWhyCallsAreForwardedIsSaidOnceAndCounted) {
  const Settings settings = settingsOf("on");
  const CapturedLog log(LogLevel::kInfo);
  Report report(settings, log.log());
  report.forwarded(0, "");
  report.forwarded(1, "");
  report.forwarded(1, "too many ranks");
  report.forwarded(1, "too many ranks");
  report.forwarded(1, "a buffer is null");
  EXPECT_THAT(log.lines(), ElementsAre("SIGNCCL INFO rule 'signs' forwards a call that it matches: too many ranks",
                                       "SIGNCCL INFO rule 'signs' forwards a call that it matches: a buffer is null"));
  EXPECT_EQ(report.counters(1).forwarded, 4U);
  EXPECT_THAT(report.totals(1), HasSubstr("4 forwarded (1: a buffer is null; 2: too many ranks)"));
}

TEST(ReportTest, ReasonsWithoutEndAreCountedTogether) {
  const Settings settings = settingsOf("on");
  const Log silent;
  Report report(settings, silent);
  for (int i = 0; i < 1000; ++i) report.forwarded(1, "reason " + std::to_string(i));
  EXPECT_THAT(report.totals(1), HasSubstr("984: other reasons"));
}

TEST(ReportTest, TotalsCountCallsBytesAndTime) {
  const Settings settings = settingsOf("on");
  const Log silent;
  Report report(settings, silent);
  for (int i = 0; i < 5; ++i) report.matched(1, exampleCall());
  for (int i = 0; i < 3; ++i) report.taken(1, {1000000, 6000000, 250000, 1500000});
  report.fellBack(1, {Values::kZeros, 0, 0, 250000, {}});
  report.forwarded(1, "");
  EXPECT_EQ(
      report.totals(1),
      "rule 'signs': 5 calls matched, 3 taken, 1 fallen back, 1 forwarded; of those taken: 3000000 elements, 0.750 MB "
      "sent where a ring sends 18.000 MB, 4.500 ms; tries that fell back took 0.250 ms");
  EXPECT_EQ(report.totals(0), "rule 'small': 0 calls matched, 0 taken, 0 fallen back, 0 forwarded");
}

std::vector<std::string> endOf(int rank, LogLevel level) {
  const Settings settings = settingsOf("on");
  const CapturedLog log(level);
  Report report(settings, log.log());
  report.setRank(rank);
  report.end();
  return log.lines();
}

TEST(ReportTest, RankZeroPrintsTheTotalsAndOthersOnlyAtTrace) {
  EXPECT_EQ(endOf(0, LogLevel::kInfo).size(), 2U);
  EXPECT_EQ(endOf(kNoRank, LogLevel::kInfo).size(), 2U);
  EXPECT_EQ(endOf(1, LogLevel::kInfo).size(), 0U);
  EXPECT_EQ(endOf(0, LogLevel::kWarn).size(), 0U);
  EXPECT_THAT(endOf(1, LogLevel::kTrace),
              ElementsAre(HasSubstr("[1] SIGNCCL TRACE rule 'small'"), HasSubstr("[1] SIGNCCL TRACE rule 'signs'")));
}

TEST(ReportTest, ADryRunSaysWhatWouldBeTaken) {
  const Settings settings = settingsOf("dry");
  const CapturedLog log(LogLevel::kInfo);
  Report report(settings, log.log());
  for (const LocalValues& values :
       {LocalValues{}, LocalValues{Values::kZeros, 5, 0}, LocalValues{Values::kOther, 7, -3}}) {
    report.matched(1, exampleCall());
    report.wouldTake(1, exampleCall(), values);
  }
  const auto lines = log.lines();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_THAT(lines[1],
              HasSubstr("rule 'signs' in a dry run: float32, sum, 1000000 elements, 4 ranks, communicator 'dp': "
                        "would be taken, if the values of the other ranks fit as those of this rank do"));
  EXPECT_THAT(lines[2], HasSubstr("would fall back: element 7 of this rank is -3, which does not fit"));
  EXPECT_EQ(
      report.totals(1),
      "rule 'signs': 3 calls matched, 2 would be taken, 1 would fall back, 0 forwarded; 2000000 elements would be "
      "taken");
}

TEST(ReportTest, ADryRunSaysWhyCallsMatchNoRule) {
  const Settings settings = settingsOf("dry");
  const CapturedLog log(LogLevel::kInfo);
  Report report(settings, log.log());
  EXPECT_EQ(report.totalsOfUnmatched(), "0 calls match no rule that takes calls");
  const auto count = [&](auto change) {
    Call call = exampleCall();
    change(call);
    report.unmatched(call);
  };
  for (const std::uint64_t few : {1U, 65535U, 12U}) count([=](Call& call) { call.count = few; });
  for (int i = 0; i < 2; ++i) count([](Call& call) { call.type = std::nullopt; });
  count([](Call& call) { call.op = ReduceOp::kAvg; });
  count([](Call& call) { call.op = std::nullopt; });
  count([](Call& /*call*/) {});
  report.end();
  EXPECT_EQ(log.lines().back(),
            "SIGNCCL INFO 8 calls match no rule that takes calls: 3 with fewer elements than any of them takes (the "
            "largest has 65535), 2 of another element type, 2 with another reduction, 1 with another number of "
            "ranks, communicator or mark, or too many elements");
}

TEST(ReportTest, CallsOfManyThreadsAreAllCounted) {
  const Settings settings = settingsOf("on");
  const CapturedLog log(LogLevel::kInfo);
  Report report(settings, log.log());
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) report.matched(1, exampleCall());
    });
  }
  threads.clear();
  EXPECT_EQ(report.counters(1).matched, 4000U);
  EXPECT_EQ(log.lines().size(), 1U);
}

}  // namespace
}  // namespace signccl::rules
