// SPDX-License-Identifier: Apache-2.0
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "program.h"

namespace signccl::perf {
namespace {

/// Arguments of a quick run, and more.
std::vector<std::string> smallWith(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--ranks", "3", "--elements", "100003", "--repetitions", "2"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(ExecutorOverheadTest, ReportsWallTimeKernelTimeAndTheirRatio) {
  const TemporaryDirectory directory;
  const std::string file = directory.file("overhead.json");
  const ProgramResult result = runProgram(SIGNCCL_EXECUTOR_OVERHEAD, smallWith({"-J", file}));
  ASSERT_EQ(result.exit_code, 0) << result.output;
  const auto document = nlohmann::json::parse(std::ifstream(file));
  double kernels_ms = 0;
  for (const char* kernel : {"encode_ms", "count_ms", "decide_ms", "decode_ms"}) {
    EXPECT_GT(document[kernel].get<double>(), 0) << kernel;
    kernels_ms += document[kernel].get<double>();
  }
  EXPECT_NEAR(document["kernel_ms"].get<double>(), kernels_ms, 1e-9);
  EXPECT_NEAR(document["ratio"].get<double>(), document["wall_ms"].get<double>() / kernels_ms, 1e-9);
}

TEST(ExecutorOverheadTest, FailsAboveItsLimit) {
  const ProgramResult result = runProgram(SIGNCCL_EXECUTOR_OVERHEAD, smallWith({"--limit", "0.0001"}));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, testing::HasSubstr("above the limit 0.0001"));
}

TEST(ExecutorOverheadTest, RefusesOptionsOutOfRangeByName) {
  const ProgramResult result = runProgram(SIGNCCL_EXECUTOR_OVERHEAD, {"--ranks", "0"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, testing::HasSubstr("--ranks"));
}

}  // namespace
}  // namespace signccl::perf
