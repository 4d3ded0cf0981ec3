// SPDX-License-Identifier: Apache-2.0
// stream_latency on the fake driver, whose times mean nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "program.h"

namespace signccl::perf {
namespace {

using testing::HasSubstr;

ProgramResult runOnFake(const std::vector<std::string>& arguments, const std::string& ngpus = "1") {
  return runProgram(SIGNCCL_STREAM_LATENCY, arguments,
                    {"LD_LIBRARY_PATH=" SIGNCCL_FAKE_CUDA_DIR, "SIGNCCL_CUDA_LIBRARY=" SIGNCCL_EMULATED_CUDA,
                     "SIGNCCL_FAKE_CUDA_DEVICES=" + ngpus});
}

TEST(StreamLatencyTest, BothWaysOfWaitingAreMeasuredAndKernelsSeeNewData) {
  const ProgramResult result = runOnFake({"--rounds", "250", "--copy-bytes", "100000", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.output;
  const auto report = nlohmann::json::parse(result.output);
  EXPECT_THAT(report["gpu"].get<std::string>(), HasSubstr("Fake GPU 0"));
  for (const char* kind : {"memory operations", "kernels"}) {
    EXPECT_GT(report[kind]["round trip us"].get<double>(), 0) << kind;
    EXPECT_EQ(report[kind]["stale words read by kernels"], 0) << kind;
  }
  EXPECT_GT(report["copy GB/s"]["device to host"].get<double>(), 0);
}

TEST(StreamLatencyTest, WithoutADeviceOrWithBadNumbersItFails) {
  const ProgramResult none = runOnFake({}, "0");
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.output, HasSubstr("CUDA_ERROR_NO_DEVICE"));
  EXPECT_THAT(runOnFake({"--rounds", "1"}).output, HasSubstr("--rounds"));
}

}  // namespace
}  // namespace signccl::perf
