// SPDX-License-Identifier: Apache-2.0
// Marks in the configuration of a call.
#include "nccl/back/marks.h"

#include <vector>

#include "interposer_job.h"
#include "signccl/nccl_mark.h"

namespace signccl::nccl_preload {
namespace {

using ::testing::HasSubstr;

ConfigExt entryOf(int option, const char* word, const ConfigExt* next = nullptr, int vendor = SIGNCCL_NCCL_VENDOR) {
  ConfigExt entry{};
  entry.next = next;
  entry.key.vendor = vendor;
  entry.key.option = option;
  entry.value.s = word;
  return entry;
}

CollConfig configOf(const ConfigExt* entries) { return {sizeof(CollConfig), kMagic, 23203, entries}; }

TEST(MarksTest, AnActionAndATieAreFoundAmongEntriesOfOthers) {
  const ConfigExt tie = entryOf(SIGNCCL_NCCL_TIE, "positive");
  const ConfigExt other = entryOf(SIGNCCL_NCCL_ACTION, "what others say", &tie, 77);
  const ConfigExt action = entryOf(SIGNCCL_NCCL_ACTION, "vote", &other);
  const CollConfig config = configOf(&action);
  const Mark mark = readMark(&config);
  EXPECT_EQ(mark.action, rules::Action::kVote);
  EXPECT_EQ(mark.tie, rules::TieRule::kPositive);
}

TEST(MarksTest, WithoutOurEntriesThereIsNoMark) {
  EXPECT_FALSE(readMark(nullptr).action);
  const CollConfig empty = configOf(nullptr);
  EXPECT_FALSE(readMark(&empty).action);
}

TEST(MarksTest, AConfigurationOfAnOlderHeaderIsNotReadBeyondItsSize) {
  const ConfigExt action = entryOf(SIGNCCL_NCCL_ACTION, "vote");
  CollConfig config = configOf(&action);
  config.size = offsetof(CollConfig, ext) + 4;
  EXPECT_FALSE(readMark(&config).action);
  config = configOf(&action);
  config.magic = 0;
  EXPECT_FALSE(readMark(&config).action);
}

TEST(MarksTest, AListThatBitesItsTailIsReadForALimitedTime) {
  ConfigExt first = entryOf(1, nullptr, nullptr, 77);
  const ConfigExt second = entryOf(1, nullptr, &first, 78);
  first.next = &second;
  const CollConfig config = configOf(&first);
  EXPECT_FALSE(readMark(&config).action);
}

TEST(MarksTest, AnUnknownWordIsAnErrorThatNamesTheKnownOnes) {
  for (const char* word : {"votes", "", static_cast<const char*>(nullptr)}) {
    const ConfigExt action = entryOf(SIGNCCL_NCCL_ACTION, word);
    const CollConfig config = configOf(&action);
    EXPECT_THAT([&] { (void)readMark(&config); },
                ::testing::ThrowsMessage<Failure>(HasSubstr("expected one of forward, sign_sum, vote, avg")));
  }
}

TEST_F(InterposerTest, ARuleForMarkedCallsTakesThoseAlone) {
  const auto interposer = makeInterposer(oneRule(R"("count": {"min": 100}, "marked": true)", "vote"));
  asRanks(2, *interposer, [](int rank, Member& member) {
    const auto marked = [&](const char* action) {
      const ConfigExt tie = entryOf(SIGNCCL_NCCL_TIE, "positive");
      const ConfigExt entry = entryOf(SIGNCCL_NCCL_ACTION, action, &tie);
      const CollConfig config = configOf(&entry);
      AllReduce call = member.call();
      call.config = &config;
      call.has_config = true;
      member.put(rank == 0 ? 3.F : -1.F);
      EXPECT_EQ(member().allReduce(call), Result::kSuccess) << member.lastError();
      return member.get();
    };
    EXPECT_EQ(marked("vote"), 1) << "a tie, which the mark decides";
    EXPECT_EQ(marked("avg"), 2) << "no rule has this action, so NCCL sums";
    ASSERT_EQ(member.allReduceOf(rank == 0 ? 3.F : -1.F), Result::kSuccess);
    EXPECT_EQ(member.get(), 2) << "without a mark";
  });
  EXPECT_EQ(fake_nccl::allReduces(), 4);
}

}  // namespace
}  // namespace signccl::nccl_preload
