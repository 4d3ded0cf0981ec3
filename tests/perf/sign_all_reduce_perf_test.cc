// SPDX-License-Identifier: Apache-2.0
#include <set>
#include <sstream>
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

/// Runs with -J and returns the file; the run has to end well.
nlohmann::json runForJson(Arguments arguments) {
  const TemporaryDirectory directory;
  const std::string file = directory.file("report.json");
  arguments.insert(arguments.end(), {"-J", file});
  const ProgramResult result = runPerf(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  return readJson(file);
}

void expectNothingWrong(const nlohmann::json& document, std::size_t nrows) {
  ASSERT_TRUE(document.is_object());
  EXPECT_EQ(document["results"].size(), nrows);
  for (const auto& row : document["results"]) {
    EXPECT_EQ(row["out_of_place"]["nwrong"], 0) << row;
    EXPECT_EQ(row["in_place"]["nwrong"], 0) << row;
  }
  EXPECT_EQ(document["out_of_bounds"]["okay"], "true");
  EXPECT_TRUE(document["errors"].empty());
}

// What `-o all`, `-d all` and smallWith() go through.
constexpr std::size_t kOperations = 2;
constexpr std::size_t kTypes = 6;
constexpr std::size_t kSmallSizes = 3;

/// Arguments of a quick run over kSmallSizes sizes that are no multiples of anything, and more.
Arguments smallWith(const Arguments& more) {
  Arguments arguments = {"-b", "8", "-e", "40009", "-f", "23", "-n", "3", "-w", "1", "-c", "2"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(SignAllReducePerfTest, EveryTypeAndOperationIsRight) {
  for (const char* nranks : {"1", "2", "3", "5"}) {
    const auto document = runForJson(smallWith({"-t", nranks, "-d", "all", "-o", "all"}));
    expectNothingWrong(document, kOperations * kTypes * kSmallSizes);
    std::set<std::pair<std::string, std::string>> seen;
    for (const auto& row : document["results"])
      seen.insert({row["type"].get<std::string>(), row["redop"].get<std::string>()});
    EXPECT_EQ(seen.size(), 12U);
  }
}

TEST(SignAllReducePerfTest, EveryZeroAndTieRuleIsRight) {
  for (const char* zero : {"binary", "ternary"}) {
    for (const char* tie : {"zero", "positive", "negative", "random"}) {
      SCOPED_TRACE(std::string(zero) + " " + tie);
      expectNothingWrong(runForJson(smallWith({"-t", "4", "-d", "all", "-o", "all", "--zero", zero, "--tie", tie})),
                         kOperations * kTypes * kSmallSizes);
    }
  }
}

TEST(SignAllReducePerfTest, EveryAlgorithmIsRightAndReported) {
  for (const char* algorithm : {"oneshot", "direct", "ring", "tree", "knomial", "hierarchical"}) {
    SCOPED_TRACE(algorithm);
    const auto document = runForJson(smallWith({"-t", "5", "-o", "all", "--algo", algorithm}));
    expectNothingWrong(document, kOperations * kSmallSizes);
    for (const auto& row : document["results"]) EXPECT_EQ(row["algorithm"], algorithm);
  }
}

TEST(SignAllReducePerfTest, GroupedAndNonBlockingCallsAreRight) {
  expectNothingWrong(runForJson(smallWith({"-t", "2", "-o", "all", "-m", "3"})), kOperations * kSmallSizes);
  expectNothingWrong(runForJson(smallWith({"-t", "2", "-o", "all", "--async"})), kOperations * kSmallSizes);
  expectNothingWrong(runForJson(smallWith({"-t", "2", "-o", "all", "--async", "-m", "3"})), kOperations * kSmallSizes);
}

TEST(SignAllReducePerfTest, EveryResultTypeIsRight) {
  for (const char* type : {"float", "half", "bfloat16", "double", "int8", "int16", "int32"}) {
    SCOPED_TRACE(type);
    expectNothingWrong(runForJson(smallWith({"-t", "3", "-d", "all", "-o", "avg", "--recvtype", type})),
                       kTypes * kSmallSizes);
  }
  for (const char* type : {"float", "half", "bfloat16", "double", "int8", "bits"}) {
    SCOPED_TRACE(type);
    expectNothingWrong(runForJson(smallWith({"-t", "4", "-d", "all", "--recvtype", type})), kTypes * kSmallSizes);
  }
}

TEST(SignAllReducePerfTest, SumsAreRightAndNotMeasuredInPlace) {
  for (const char* zero : {"binary", "ternary"}) {
    const auto document = runForJson(smallWith({"-t", "3", "-d", "all", "-o", "sum", "--zero", zero}));
    ASSERT_EQ(document["results"].size(), (kTypes - 1) * kSmallSizes) << "of all types but bits";
    for (const auto& row : document["results"]) {
      EXPECT_EQ(row["redop"], "sum");
      EXPECT_EQ(row["out_of_place"]["nwrong"], 0) << row;
      EXPECT_EQ(row["in_place"], nullptr);
      EXPECT_EQ(row["type"], row["result_type"]);
    }
  }
}

TEST(SignAllReducePerfTest, AnEmptyVectorIsMeasured) {
  expectNothingWrong(runForJson({"-b", "0", "-e", "0", "-o", "all", "-n", "2"}), 2);
}

TEST(SignAllReducePerfTest, SentBytesAreThoseOfTheDirectAlgorithm) {
  // 4 ranks: every rank sends 3/4 of its signs and 3 times a quarter of the votes, 1.5 bits per element.
  const auto document = runForJson({"-t", "4", "-b", "4M", "-e", "4M", "-n", "2", "--algo", "direct"});
  const auto& row = document["results"][0];
  EXPECT_NEAR(row["bits_per_element"].get<double>(), 1.5, 0.015);
  EXPECT_NEAR(row["sent_bytes_per_rank"].get<double>(), 1.5 / 8 * 1048576, 0.01 * 1.5 / 8 * 1048576);
}

TEST(SignAllReducePerfTest, BandwidthsFollowFromTimeAndSize) {
  const auto document = runForJson({"-t", "4", "-b", "1M", "-e", "1M", "-n", "2", "-c", "0"});
  for (const char* placement : {"out_of_place", "in_place"}) {
    const auto& measurement = document["results"][0][placement];
    const double algbw = 1048576 / (measurement["time"].get<double>() * 1e-6) / 1e9;
    EXPECT_NEAR(measurement["alg_bw"].get<double>(), algbw, 1e-6 * algbw);
    EXPECT_NEAR(measurement["bus_bw"].get<double>(), algbw * 1.5, 1e-6 * algbw);
    // What crossed the wire is what the transport counted, not what was voted on.
    const double sent = document["results"][0]["sent_bytes_per_rank"].get<double>();
    EXPECT_NEAR(measurement["wire_bw"].get<double>(), algbw * sent / 1048576, 1e-6 * algbw);
  }
}

TEST(SignAllReducePerfTest, UncheckedResultsAreNotCalledRight) {
  const ProgramResult result = runPerf({"-b", "64", "-e", "64", "-n", "1", "-c", "0"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("N/A"));
}

TEST(SignAllReducePerfTest, RowsHaveTheColumnsOfNcclTests) {
  const ProgramResult result = runPerf(smallWith({"-t", "2"}));
  std::istringstream lines(result.output);
  std::string line;
  std::size_t nrows = 0;
  while (std::getline(lines, line)) {
    if (line.starts_with('#')) continue;
    std::istringstream fields(line);
    std::size_t size = 0;
    std::size_t count = 0;
    std::string type;
    std::string redop;
    int root = 0;
    ASSERT_TRUE(fields >> size >> count >> type >> redop >> root) << line;
    EXPECT_EQ(size, 4 * count);
    EXPECT_EQ(root, -1);
    for (int number = 0; number < 8; ++number) {
      double value = -1;
      ASSERT_TRUE(fields >> value) << line;
      EXPECT_GE(value, 0) << line;
    }
    ++nrows;
  }
  EXPECT_EQ(nrows, kSmallSizes);
  EXPECT_THAT(result.output, HasSubstr("# Out of bounds values : 0 OK"));
  EXPECT_THAT(result.output, HasSubstr("# Avg bus bandwidth    : "));
}

TEST(SignAllReducePerfTest, ADamagedElementIsCountedAndFailsTheRun) {
  for (const char* type : {"float", "half", "bfloat16", "double", "int8", "bits"}) {
    const ProgramResult result =
        runPerf({"-t", "3", "-b", "1K", "-e", "1K", "-n", "1", "-c", "2", "-d", type, "--corrupt", "1"});
    EXPECT_EQ(result.exit_code, 1) << result.output;
    // One element in each of two checked iterations, out of place and in place.
    EXPECT_THAT(result.output, HasSubstr("# Out of bounds values : 4 FAILED")) << type;
  }
}

TEST(SignAllReducePerfTest, RanksThatDisagreeAreAllReported) {
  const ProgramResult result = runPerf({"-t", "3", "-b", "4K", "-e", "4K", "-n", "1", "--disagree", "1"});
  EXPECT_EQ(result.exit_code, 1) << result.output;
  for (const char* rank : {"rank 0: ", "rank 1: ", "rank 2: "}) EXPECT_THAT(result.output, HasSubstr(rank));
  EXPECT_THAT(result.output, HasSubstr("1024"));
  EXPECT_THAT(result.output, HasSubstr("1023"));
}

TEST(SignAllReducePerfTest, AnUnknownKernelSettingIsReportedByEveryRank) {
  const ProgramResult result = runPerf({"-t", "2", "-b", "64", "-e", "64"}, {"SIGNCCL_KERNELS=abacus"});
  EXPECT_EQ(result.exit_code, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("abacus"));
}

TEST(SignAllReducePerfTest, ARunWithoutEndThatIsKilledLeavesItsRows) {
  const TemporaryDirectory directory;
  const std::string file = directory.file("report.json");
  const ProgramResult result = runProgram("/bin/bash", {"-c", R"script(
        "$0" -t 2 -b 64 -e 64 -n 1 -N 0 -J "$1" >"$1.txt" & program=$!
        for ((i = 0; i < 300; ++i)); do
          (($(grep -vc '^#' "$1.txt") >= 3)) && break
          sleep 0.1
        done
        kill -KILL $program
        wait $program)script",
                                                        SIGNCCL_SIGN_ALL_REDUCE_PERF, file});
  const auto document = readJson(file);
  ASSERT_TRUE(document.is_object()) << result.output;
  EXPECT_GE(document["results"].size(), 2U);
  EXPECT_EQ(document["end_time"], nullptr);
}

TEST(SignAllReducePerfTest, TooLittleBandwidthFailsTheRun) {
  const ProgramResult result = runPerf({"-b", "64", "-e", "64", "-n", "1"}, {"SIGNCCL_TESTS_MIN_BW=1e9"});
  EXPECT_EQ(result.exit_code, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("FAILED"));
}

TEST(SignAllReducePerfTest, BadOptionsEndWithCodeTwoAndNameTheValue) {
  const std::vector<std::pair<Arguments, std::string>> table = {
      {{"-o", "product"}, "product"},
      {{"-o", "sum", "-d", "bits"}, "bits"},
      {{"-d", "complex"}, "complex"},
      {{"-t", "99999"}, "99999"},
      {{"-b", "1X"}, "1X"},
      {{"-g", "8"}, "8"},
      {{"--algo", "butterfly"}, "butterfly"},
      {{"--no-such-option"}, "--no-such-option"},
      {{"-J", "/no/such/directory/file"}, "/no/such/directory/file"},
      {{"-b", "500T", "-e", "500T"}, "549755813888000"},
  };
  for (const auto& [arguments, value] : table) {
    const ProgramResult result = runPerf(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr(value));
  }
}

TEST(SignAllReducePerfTest, NoProgressLineWithoutATerminal) {
  const ProgramResult result = runPerf({"-b", "64", "-e", "64", "-n", "1"});
  EXPECT_THAT(result.output, testing::Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace signccl::perf
