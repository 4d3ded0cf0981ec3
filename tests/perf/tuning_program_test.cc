// SPDX-License-Identifier: Apache-2.0
// A tuning file, from the program that writes it to the library that reads it.
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "program.h"

namespace signccl::perf {
namespace {

using nlohmann::json;
using testing::HasSubstr;

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST(TuningProgramTest, LibraryTakesTheAlgorithmsOfTheFile) {
  const TemporaryDirectory directory;
  const std::string table = directory.file("tuning.json");
  const std::string report = directory.file("report.json");
  write(table, R"({"format": "signccl-tuning", "version": 1, "groups": [{"collective": "vote", "nranks": 3,)"
               R"( "nnodes": 1, "choices": [{"from_count": 0, "algorithm": "ring"},)"
               R"( {"from_count": 5000, "algorithm": "tree"}]}]})");
  const ProgramResult result = runPerf({"-t", "3", "-b", "4K", "-e", "64K", "-f", "16", "-n", "2", "-J", report},
                                       {"SIGNCCL_TUNING_FILE=" + table});
  ASSERT_EQ(result.exit_code, 0) << result.output;
  const json results = readJson(report)["results"];
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0]["algorithm"], "ring");
  EXPECT_EQ(results[1]["algorithm"], "tree");
}

TEST(TuningProgramTest, TuneWritesAFileThatTheLibraryReads) {
  const TemporaryDirectory directory;
  const std::string table = directory.file("tuning.json");
  const std::vector<std::string> sizes = {"-t", "3", "-b", "64", "-e", "64K", "-f", "32", "-n", "2"};
  std::vector<std::string> tune = sizes;
  tune.insert(tune.end(), {"-o", "all", "--tune", table});
  const ProgramResult tuned = runPerf(tune);
  ASSERT_EQ(tuned.exit_code, 0) << tuned.output;
  EXPECT_THAT(tuned.output, HasSubstr("SIGNCCL_TUNING_FILE=" + table));
  const json groups = readJson(table)["groups"];
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0]["collective"], "vote");
  EXPECT_EQ(groups[1]["collective"], "avg");
  EXPECT_EQ(groups[0]["nranks"], 3);
  // 64 bytes are the smallest size; nothing is said of smaller ones.
  for (const json& group : groups) EXPECT_EQ(group["choices"][0]["from_count"], 16);
  const ProgramResult used = runPerf(sizes, {"SIGNCCL_TUNING_FILE=" + table});
  EXPECT_EQ(used.exit_code, 0) << used.output;
}

TEST(TuningProgramTest, TuneWritesOneReportWithEveryRoundOfEveryAlgorithm) {
  const TemporaryDirectory directory;
  const std::string report = directory.file("report.json");
  // Neither variable has an effect while algorithms are measured.
  const ProgramResult result =
      runPerf({"-t", "2", "-b", "4K", "-e", "4K", "-n", "1", "-J", report, "--tune", directory.file("tuning.json")},
              {"SIGNCCL_ALGO=ring", "SIGNCCL_TUNING_FILE=/no/such/file"});
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(directory.files(), testing::UnorderedElementsAre("report.json", "tuning.json"));
  const json document = readJson(report);
  EXPECT_EQ(document["config"]["algorithm"], "all");
  std::map<std::string, int> rounds;
  for (const json& row : document["results"]) ++rounds[row["algorithm"].get<std::string>()];
  EXPECT_EQ(rounds,
            (std::map<std::string, int>{{"oneshot", 3}, {"direct", 3}, {"ring", 3}, {"tree", 3}, {"knomial", 3}}));
  const std::string header = "# Using devices";
  EXPECT_EQ(result.output.find(header), result.output.rfind(header));
  EXPECT_THAT(result.output,
              HasSubstr("# Warning: one size was measured, so the file decides for 1024 to 2047 elements"));
}

TEST(TuningProgramTest, ProcessesTuneTogether) {
  const TemporaryDirectory directory;
  const std::string table = directory.file("tuning.json");
  const ProgramResult result = runPerf({"-p", "2", "-b", "4K", "-e", "4K", "-n", "1", "--tune", table});
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(readJson(table)["groups"][0]["choices"][0]["from_count"], 1024);
}

TEST(TuningProgramTest, WrongFilesAndOptionsAreErrorsThatSayWhatIsWrong) {
  const TemporaryDirectory directory;
  const std::string table = directory.file("tuning.json");
  write(table, R"({"format": "signccl-tuning", "version": 1, "groups": 5})");
  const ProgramResult unusable = runPerf({"-t", "2", "-b", "64", "-e", "64"}, {"SIGNCCL_TUNING_FILE=" + table});
  EXPECT_EQ(unusable.exit_code, 1);
  EXPECT_THAT(unusable.output, HasSubstr("file.groups is 5, expected a list"));
  write(table, "my notes");
  EXPECT_THAT(runPerf({"-t", "2", "-b", "64", "-e", "64", "-n", "1", "--tune", table}).output,
              HasSubstr("--tune " + table + ": the file exists and is no tuning file"));
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--algo", "ring"}, {"-d", "all"}, {"-b", "0"}, {"-b", "3"}}) {
    std::vector<std::string> arguments = {"-t", "2", "-b", "64", "-e", "64", "--tune", table};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult result = runPerf(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr("--tune"));
  }
}

}  // namespace
}  // namespace signccl::perf
