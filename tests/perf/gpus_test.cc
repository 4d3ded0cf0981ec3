// SPDX-License-Identifier: Apache-2.0
// sign_all_reduce_perf with buffers in the memory of GPUs: those of the fake driver.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "program.h"

namespace signccl::perf {
namespace {

using testing::HasSubstr;
using Arguments = std::vector<std::string>;

/// On a machine with as many GPUs, none of which is real.
ProgramResult runWithGpus(int ngpus, const Arguments& arguments) {
  return runPerf(arguments, {"LD_LIBRARY_PATH=" SIGNCCL_FAKE_CUDA_DIR, "SIGNCCL_CUDA_LIBRARY=" SIGNCCL_EMULATED_CUDA,
                             "SIGNCCL_FAKE_CUDA_DEVICES=" + std::to_string(ngpus)});
}

/// Runs with -J and returns the file; the run has to end well, and results must have been checked and right.
nlohmann::json runForJson(int ngpus, Arguments arguments, std::size_t nrows) {
  const TemporaryDirectory directory;
  const std::string file = directory.file("report.json");
  arguments.insert(arguments.end(), {"-J", file});
  const ProgramResult result = runWithGpus(ngpus, arguments);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  auto document = readJson(file);
  EXPECT_TRUE(document.is_object());
  if (!document.is_object()) return document;
  EXPECT_EQ(document["config"]["buffers"], "device");
  EXPECT_EQ(document["results"].size(), nrows);
  for (const auto& row : document["results"]) {
    EXPECT_EQ(row["out_of_place"]["nwrong"], 0) << row;
    EXPECT_EQ(row["in_place"]["nwrong"], 0) << row;
  }
  return document;
}

std::vector<int> devicesOf(const nlohmann::json& document) {
  std::vector<int> devices;
  for (const auto& device : document["config"]["devices"]) devices.push_back(device["device"].get<int>());
  return devices;
}

TEST(GpusTest, EveryTypeAndOperationIsRight) {
  constexpr std::size_t kRows = std::size_t{2} * 6 * 2;  // operations, types, sizes
  const auto document = runForJson(
      4, {"-g", "4", "-o", "all", "-d", "all", "-b", "8", "-e", "9001", "-f", "1000", "-n", "2", "-c", "2"}, kRows);
  EXPECT_THAT(devicesOf(document), testing::ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(document["config"]["devices"][3]["device_info"], "Fake GPU 3");
  EXPECT_EQ(document["config"]["ngpus"], 4);
  EXPECT_EQ(document["config"]["nthreads"], 1);
}

TEST(GpusTest, RanksMayShareAGpu) {
  const auto document = runForJson(
      1, {"-t", "4", "-g", "1", "--oversubscribe", "-o", "all", "-b", "1000", "-e", "1000", "-n", "2", "-m", "3"}, 2);
  EXPECT_THAT(devicesOf(document), testing::ElementsAre(0, 0, 0, 0));
}

TEST(GpusTest, ProcessesOfAMachineHaveGpusOfTheirOwn) {
  const auto document =
      runForJson(4, {"-p", "2", "-g", "2", "-o", "all", "-d", "bfloat16", "-b", "4K", "-e", "4K", "-n", "2"}, 2);
  EXPECT_THAT(devicesOf(document), testing::ElementsAre(0, 1, 2, 3));
}

#ifdef SIGNCCL_NVTX_INJECTION
TEST(GpusTest, AProfilerThatIsAttachedGetsRanges) {
  const ProgramResult result =
      runPerf({"-b", "64", "-e", "64", "-n", "1"}, {"NVTX_INJECTION64_PATH=" SIGNCCL_NVTX_INJECTION});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("profiler attached"));
}
#endif

TEST(GpusTest, CallsThatAreCapturedIntoGraphsAreRight) {
  const auto document = runForJson(3, {"-g", "3",    "-o", "all", "-d", "bfloat16", "-b",          "8", "-e", "9001",
                                       "-f", "1000", "-n", "3",   "-m", "2",        "--cudagraph", "4", "-c", "2"},
                                   4);
  EXPECT_EQ(document["config"]["graph"], 4);
  for (const auto& row : document["results"]) EXPECT_GT(row["sent_bytes_per_rank"], 0) << row;
}

TEST(GpusTest, GraphsOfRanksThatShareAGpuDoNotWaitForEachOthersMemory) {
  const auto document = runForJson(1,
                                   {"-t", "3", "-g", "1", "--oversubscribe", "-b", "1K", "-e", "4K", "-f", "4", "-n",
                                    "2", "--cudagraph", "3", "-c", "2", "-T", "20"},
                                   2);
  EXPECT_EQ(document["config"]["graph"], 3);
}

TEST(GpusTest, ADamagedResultOfAGraphIsCounted) {
  const ProgramResult result =
      runWithGpus(2, {"-g", "2", "-b", "1K", "-e", "1K", "-n", "2", "-c", "2", "-G", "2", "--corrupt", "1"});
  EXPECT_EQ(result.exit_code, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("graph: 2"));
  EXPECT_THAT(result.output, HasSubstr("# Out of bounds values : 4 FAILED"));
}

TEST(GpusTest, RanksThatDisagreeInAGraphAreReported) {
  const ProgramResult result =
      runWithGpus(2, {"-g", "2", "-b", "4K", "-e", "4K", "-n", "1", "-w", "0", "-G", "1", "--disagree", "1"});
  EXPECT_EQ(result.exit_code, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("1023"));
}

TEST(GpusTest, ADamagedResultIsCounted) {
  const ProgramResult result =
      runWithGpus(2, {"-g", "2", "-b", "1K", "-e", "1K", "-n", "1", "-c", "2", "--corrupt", "1"});
  EXPECT_EQ(result.exit_code, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("# Out of bounds values : 4 FAILED"));
  EXPECT_THAT(result.output, HasSubstr("] Fake GPU 1"));
}

TEST(GpusTest, RanksThatDisagreeAreReported) {
  const ProgramResult result = runWithGpus(2, {"-g", "2", "-b", "4K", "-e", "4K", "-n", "1", "--disagree", "1"});
  EXPECT_EQ(result.exit_code, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("1023"));
}

TEST(GpusTest, TooFewGpusAreRefusedWithBothNumbers) {
  for (const Arguments& ranks :
       {Arguments{"-g", "3"}, Arguments{"-t", "3", "-g", "1"}, Arguments{"-p", "3", "-g", "1"}}) {
    Arguments arguments = ranks;
    arguments.insert(arguments.end(), {"-b", "64", "-e", "64"});
    const ProgramResult result = runWithGpus(2, arguments);
    EXPECT_NE(result.exit_code, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("3 ranks of this machine need as many GPUs, and it has 2"));
    EXPECT_THAT(result.output, HasSubstr("--oversubscribe"));
  }
}

TEST(GpusTest, WithoutADeviceOrADriverTheErrorSaysSo) {
  EXPECT_THAT(runWithGpus(0, {"-g", "1", "-b", "64", "-e", "64"}).output, HasSubstr("-g 1 needs a GPU"));
  const ProgramResult none = runPerf({"-g", "1", "-b", "64", "-e", "64"}, {"LD_LIBRARY_PATH=/nowhere"});
  if (none.exit_code == 0) GTEST_SKIP() << "this machine has a GPU";
  EXPECT_EQ(none.exit_code, 2) << none.output;
  EXPECT_THAT(none.output, HasSubstr("-g 1 needs a GPU"));
}

}  // namespace
}  // namespace signccl::perf
