// SPDX-License-Identifier: Apache-2.0
// The program as a user runs it.
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "scratch.h"
#include "support/sanitizers.h"

namespace {

using ::testing::HasSubstr;

struct Outcome {
  int exit_code = -1;
  std::string output;  ///< what the program wrote, its errors included
};

Outcome runDigits(const std::string& arguments) {
  Outcome outcome;
  const std::string command = std::string("'") + SIGNCCL_DIGITS_PROGRAM + "' " + arguments + " 2>&1";
  std::FILE* const pipe = popen(command.c_str(), "r");  // NOLINT(bugprone-command-processor): the words are our own
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    outcome.output.append(buffer.data(), got);
  }
  outcome.exit_code = WEXITSTATUS(pclose(pipe));
  return outcome;
}

std::vector<std::vector<std::string>> readCsv(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    rows.emplace_back();
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, ',');) rows.back().push_back(field);
  }
  return rows;
}

TEST(DigitsProgramTest, TrainsReportsAndWritesItsFiles) {
  const digits::Scratch scratch;
  const auto out = scratch / "out";
  const Outcome outcome =
      runDigits("--workers 2,4 --seeds 1 --steps 150 --shards own --eval-every 50 --out '" + out.string() + "'");
  const auto curves = readCsv(out / "curves.csv");
  const auto summary = readCsv(out / "summary.csv");
  const auto plot_bytes = std::filesystem::file_size(out / "digits_own.svg");

  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("bit-identical on all workers: 14 of 14 runs: OK"));
  EXPECT_GT(plot_bytes, 1000U);
  ASSERT_EQ(curves.size(), 1U + 14 * 4);
  for (const auto& row : curves) EXPECT_EQ(row.size(), curves[0].size());
  ASSERT_EQ(summary.size(), 1U + 14);
  ASSERT_EQ(summary[0][6], "accuracy");
  for (std::size_t i = 1; i < summary.size(); ++i) {
    ASSERT_EQ(summary[i].size(), summary[0].size());
    EXPECT_GT(std::stod(summary[i][6]), 0.6) << summary[i][1] << ' ' << summary[i][2];
  }
}

/// Lines without the column of times.
std::vector<std::vector<std::string>> readTimeless(const std::filesystem::path& path) {
  auto rows = readCsv(path);
  const auto column = std::ranges::find(rows.at(0), "seconds") - rows[0].begin();
  for (auto& row : rows) row.erase(row.begin() + column);
  return rows;
}

TEST(DigitsProgramTest, ProcessesGiveTheNumbersOfThreads) {
  if (!SIGNCCL_HAS_UCX) GTEST_SKIP() << "built without UCX";
  const digits::Scratch scratch;
  const std::string work = "--workers 4 --seeds 1 --steps " + std::string(signccl::kSanitized ? "20" : "60") +
                           " --eval-every 20 --zero binary,ternary --out '";
  const Outcome threads = runDigits(work + (scratch / "threads").string() + "'");
  ASSERT_EQ(threads.exit_code, 0) << threads.output;
  for (const char* processes : signccl::kSanitized ? std::vector{"2"} : std::vector{"2", "4"}) {
    const Outcome outcome =
        runDigits("-p " + std::string(processes) + " " + work + (scratch / processes).string() + "'");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("threads of " + std::string(processes) + " processes"));
    EXPECT_EQ(readCsv(scratch / processes / "curves.csv"), readCsv(scratch / "threads" / "curves.csv"));
    EXPECT_EQ(readTimeless(scratch / processes / "summary.csv"), readTimeless(scratch / "threads" / "summary.csv"));
  }
}

TEST(DigitsProgramTest, RefusesWorkersThatCannotBeSharedOut) {
  const Outcome outcome = runDigits("-p 3 --workers 3,4");
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("4 cannot be shared out to 3 processes, expected a multiple of that"));
}

TEST(DigitsProgramTest, RefusesABadOption) {
  const Outcome outcome = runDigits("--tie sometimes");
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("'sometimes' is not one of zero, positive, negative, random"));
}

TEST(DigitsProgramTest, NamesAFileOfDigitsThatIsNotOne) {
  const digits::Scratch scratch;
  const auto path = scratch / "digits.csv";
  std::ofstream(path) << "not,digits\n";
  const Outcome outcome = runDigits("--data '" + path.string() + "'");
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr(path.string() + ":1: expected 64 pixels"));
}

}  // namespace
