// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/progress.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signccl::perf {
namespace {

TEST(ProgressTest, SaysNothingWhereTheOutputIsNoTerminal) {
  std::ostringstream out;
  {
    Progress progress(out, Terminal::kNo, 3);
    progress.show("warm-up");
  }
  EXPECT_EQ(out.str(), "");
}

TEST(ProgressTest, NamesTheCaseAndThePhase) {
  std::ostringstream out;
  Progress progress(out, Terminal::kYes, 3);
  progress.advance();
  progress.show("timing");
  EXPECT_THAT(out.str(), testing::HasSubstr("[2/3]"));
  EXPECT_THAT(out.str(), testing::EndsWith("timing"));
}

TEST(ProgressTest, ErasesTheLineAtTheEnd) {
  std::ostringstream out;
  {
    Progress progress(out, Terminal::kYes, 3);
    progress.show("timing");
  }
  EXPECT_THAT(out.str(), testing::EndsWith("timing\r\x1b[K"));
}

}  // namespace
}  // namespace signccl::perf
