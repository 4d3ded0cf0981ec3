// SPDX-License-Identifier: Apache-2.0
#include "control/announced_exchanges.h"

#include <gtest/gtest.h>

namespace signccl {
namespace {

using Outcome = AnnouncedExchanges::Outcome;

TEST(AnnouncedExchangesTest, ExchangeIsCompleteOnceAllRanksHaveAnnouncedItAlike) {
  AnnouncedExchanges announced;
  EXPECT_EQ(announced.add(1, {7, "vote"}, 2).outcome, Outcome::kIncomplete);
  EXPECT_EQ(announced.add(1, {7, "vote"}, 2).outcome, Outcome::kIncomplete) << "the same rank again";
  EXPECT_EQ(announced.add(0, {8, "other"}, 2).outcome, Outcome::kIncomplete) << "another exchange";
  EXPECT_EQ(announced.add(0, {7, "vote"}, 2).outcome, Outcome::kComplete);
}

TEST(AnnouncedExchangesTest, DisagreementNamesWhoAnnouncedItFirstAndAsWhat) {
  AnnouncedExchanges announced;
  announced.add(2, {7, "vote"}, 3);
  const AnnouncedExchanges::Result result = announced.add(0, {7, "avg"}, 3);
  EXPECT_EQ(result.outcome, Outcome::kDisagreement);
  EXPECT_EQ(result.first_rank, 2);
  EXPECT_EQ(result.signature, "vote");
}

TEST(AnnouncedExchangesTest, OldestIsForgottenWhereThereAreTooMany) {
  AnnouncedExchanges announced;
  for (std::uint64_t exchange = 0; exchange < 2000; ++exchange) announced.add(0, {exchange, "vote"}, 2);
  EXPECT_EQ(announced.add(1, {1999, "vote"}, 2).outcome, Outcome::kComplete);
  EXPECT_EQ(announced.add(1, {0, "vote"}, 2).outcome, Outcome::kIncomplete);
}

}  // namespace
}  // namespace signccl
