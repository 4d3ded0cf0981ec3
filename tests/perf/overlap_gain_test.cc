// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "program.h"

namespace signccl::perf {
namespace {

constexpr const char* kFigures =
    "vote [0-9.]+ ms, compute [0-9.]+ ms, one after the other [0-9.]+ ms, at once [0-9.]+ ms: gain -?[0-9.]+\n";

TEST(OverlapGainTest, PrintsFourTimesAndTheGain) {
  const ProgramResult result = runProgram(SIGNCCL_OVERLAP_GAIN, {"-c", "10000", "-r", "3"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, testing::MatchesRegex(kFigures));
}

TEST(OverlapGainTest, RefusesOptionsOutOfRangeByName) {
  const ProgramResult result = runProgram(SIGNCCL_OVERLAP_GAIN, {"--rounds", "0"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, testing::HasSubstr("--rounds"));
}

}  // namespace
}  // namespace signccl::perf
