// SPDX-License-Identifier: Apache-2.0
// kernel_bench with a GPU: that of the fake driver, whose times mean nothing.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "program.h"

namespace signccl::perf {
namespace {

using testing::HasSubstr;

ProgramResult runBench(const std::vector<std::string>& arguments, int ngpus = 1) {
  return runProgram(SIGNCCL_KERNEL_BENCH, arguments,
                    {"LD_LIBRARY_PATH=" SIGNCCL_FAKE_CUDA_DIR, "SIGNCCL_CUDA_LIBRARY=" SIGNCCL_EMULATED_CUDA,
                     "SIGNCCL_FAKE_CUDA_DEVICES=" + std::to_string(ngpus)});
}

TEST(KernelBenchTest, KernelsOfAGpuAreMeasuredBesideItsCopies) {
  const TemporaryDirectory directory;
  const std::string file = directory.file("bench.json");
  const ProgramResult result = runBench({"--benchmark_filter=gpu/", "--gpu_elements=70000", "--gpu_rounds=2",
                                         "--benchmark_out=" + file, "--benchmark_out_format=json"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const auto document = readJson(file);
  ASSERT_TRUE(document.is_object());
  EXPECT_THAT(document["context"]["gpu"].get<std::string>(), HasSubstr("Fake GPU 0"));
  EXPECT_GE(document["benchmarks"].size(), 50U);
  for (const auto& row : document["benchmarks"]) {
    EXPECT_FALSE(row.contains("error_occurred")) << row;
    for (const char* counter : {"bytes/s", "peer_bytes/s", "ratio"}) EXPECT_GT(row[counter].get<double>(), 0) << row;
  }
}

TEST(KernelBenchTest, AFilterLetsSomeKernelsThrough) {
  const ProgramResult result =
      runBench({"--benchmark_filter=gpu/count_8_of_copy", "--gpu_elements=1000", "--gpu_rounds=1"});
  EXPECT_THAT(result.output, HasSubstr("gpu/count_8_of_copy"));
  EXPECT_THAT(result.output, testing::Not(HasSubstr("gpu/encode")));
}

TEST(KernelBenchTest, WithoutADeviceItSaysSo) {
  EXPECT_THAT(runBench({"--benchmark_filter=gpu/"}, 0).output, HasSubstr("No benchmarks of a GPU: "));
}

TEST(KernelBenchTest, MoreElementsThanTheDeviceHoldsAreAnErrorOfTheBenchmark) {
  const ProgramResult result =
      runBench({"--benchmark_filter=gpu/encode_binary_float32", "--gpu_elements=100000000000"});
  EXPECT_THAT(result.output, HasSubstr("fewer --gpu_elements need less"));
}

TEST(KernelBenchTest, BadNumbersAreRefused) {
  for (const char* argument : {"--gpu_elements=many", "--gpu_elements=0", "--gpu_rounds=-1", "--gpu_rounds="}) {
    const ProgramResult result = runBench({argument});
    EXPECT_EQ(result.exit_code, 1) << argument;
    EXPECT_THAT(result.output, HasSubstr(argument));
    EXPECT_THAT(result.output, HasSubstr("at least 1"));
  }
}

}  // namespace
}  // namespace signccl::perf
