// SPDX-License-Identifier: Apache-2.0
// sign_all_reduce_perf with ranks in several processes, as launchers start it.
#include <set>
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

/// Runs a script of the shell, in which $0 is the program and $1 a file for JSON.
ProgramResult runScript(const std::string& script, const std::string& json_file = {}) {
  return runProgram("/bin/bash", {"-c", script, SIGNCCL_SIGN_ALL_REDUCE_PERF, json_file});
}

void expectRight(const nlohmann::json& document, std::size_t nrows, std::size_t nranks, std::size_t nprocesses) {
  ASSERT_TRUE(document.is_object());
  EXPECT_EQ(document["results"].size(), nrows);
  for (const auto& row : document["results"]) {
    EXPECT_EQ(row["out_of_place"]["nwrong"], 0) << row;
    EXPECT_EQ(row["in_place"]["nwrong"], 0) << row;
  }
  std::set<int> pids;
  for (const auto& device : document["config"]["devices"]) pids.insert(device["pid"].get<int>());
  EXPECT_EQ(document["config"]["devices"].size(), nranks);
  EXPECT_EQ(pids.size(), nprocesses);
}

TEST(ProcessesTest, EveryTypeAndOperationIsRight) {
  const TemporaryDirectory directory;
  const std::string file = directory.file("report.json");
  const ProgramResult result = runPerf(
      {"-p", "3", "-o", "all", "-d", "all", "-b", "8", "-e", "40009", "-f", "23", "-n", "3", "-c", "2", "-J", file});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  constexpr std::size_t kRows = std::size_t{2} * 6 * 3;  // operations, types, sizes
  expectRight(readJson(file), kRows, 3, 3);
}

TEST(ProcessesTest, ProcessesMayHaveThreads) {
  const TemporaryDirectory directory;
  const std::string file = directory.file("report.json");
  const ProgramResult result =
      runPerf({"-p", "2", "-t", "2", "-o", "all", "-b", "4M", "-e", "4M", "-n", "2", "--algo", "direct", "-J", file});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const auto document = readJson(file);
  expectRight(document, 2, 4, 2);
  EXPECT_NEAR(document["results"][0]["bits_per_element"].get<double>(), 1.5, 0.015);
}

TEST(ProcessesTest, OnlyTheFirstPrints) {
  const ProgramResult result = runPerf({"-p", "3", "-b", "64", "-e", "64", "-n", "1"});
  const std::string first_line = "# sign_all_reduce_perf version";
  EXPECT_EQ(result.output.find(first_line), result.output.rfind(first_line));
}

TEST(ProcessesTest, EachHasATraceWithTheRankInItsName) {
  for (const char* ranks : {"-p 4", "-p 2 -t 2"}) {
    SCOPED_TRACE(ranks);
    const TemporaryDirectory directory;
    const ProgramResult result =
        runScript(std::string("SIGNCCL_TRACE=$1 \"$0\" -b 1M -e 1M -n 2 -w 0 -c 0 ") + ranks, directory.file("t.json"));
    EXPECT_EQ(result.exit_code, 0) << result.output;
    std::set<int> rows;
    const auto files = directory.files();
    for (const std::string& file : files) {
      const auto document = readJson(directory.file(file));
      ASSERT_TRUE(document.is_object()) << file;
      EXPECT_THAT(file, testing::MatchesRegex("t\\.[0-3]\\.json"));
      for (const auto& event : document["traceEvents"]) {
        if (event["ph"] == "X") rows.insert(event["pid"].get<int>() % 32768);
      }
    }
    EXPECT_EQ(files.size(), std::string(ranks) == "-p 4" ? 4 : 2);
    EXPECT_EQ(rows, (std::set<int>{0, 1, 2, 3}));
  }
}

TEST(ProcessesTest, WrongElementsOfAllProcessesAreCounted) {
  for (const char* rank : {"0", "2"}) {
    const ProgramResult result = runPerf({"-p", "3", "-b", "1K", "-e", "1K", "-n", "1", "-c", "2", "--corrupt", rank});
    EXPECT_EQ(result.exit_code, 1) << result.output;
    // One element in each of two checked iterations, out of place and in place.
    EXPECT_THAT(result.output, HasSubstr("# Out of bounds values : 4 FAILED"));
  }
}

TEST(ProcessesTest, RanksThatDisagreeAreAllReported) {
  const ProgramResult result = runPerf({"-p", "3", "-b", "4K", "-e", "4K", "-n", "1", "--disagree", "1"});
  EXPECT_EQ(result.exit_code, 1) << result.output;
  for (const char* rank : {"rank 0: ", "rank 1: ", "rank 2: "}) EXPECT_THAT(result.output, HasSubstr(rank));
  EXPECT_THAT(result.output, HasSubstr("1023"));
}

TEST(ProcessesTest, AFileThatCannotBeWrittenEndsAll) {
  const ProgramResult result = runPerf({"-p", "2", "-b", "64", "-e", "64", "-J", "/no/such/directory/file"});
  EXPECT_NE(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("--output_file: cannot create '/no/such/directory/file'"));
  EXPECT_THAT(result.output, HasSubstr("rank 0 aborted the communicator"));
}

TEST(ProcessesTest, AProcessThatDiesEndsTheOthersWithAnError) {
  const ProgramResult result = runScript(R"script(
    "$0" -p 3 -b 1M -e 1M -N 0 -c 0 >/dev/null &
    sleep 2
    read -r first second third </proc/$!/task/$!/children
    kill -KILL "$second"
    SECONDS=0
    wait $!
    status=$?
    echo "status $status after $((SECONDS < 15 ? 0 : SECONDS)) s")script");
  EXPECT_THAT(result.output, HasSubstr("status 1 after 0 s"));
  EXPECT_THAT(result.output, HasSubstr("process 1 (pid "));
  EXPECT_THAT(result.output, HasSubstr("ended by signal 9"));
  EXPECT_THAT(result.output, HasSubstr("rank 0: "));
  EXPECT_THAT(result.output, HasSubstr("rank 2: "));
}

class SignalTest : public testing::TestWithParam<const char*> {};

TEST_P(SignalTest, ToTheParentLeavesNoProcessBehind) {
  const ProgramResult result = runScript(std::string("signal=") + GetParam() + R"script(
    "$0" -p 2 -b 64 -e 64 -N 0 -c 0 >/dev/null & parent=$!
    sleep 2
    read -r first second </proc/$parent/task/$parent/children
    kill -"$signal" $parent
    ended=0
    for process in $parent $first $second; do
      for ((i = 0; i < 100; ++i)); do
        # A process that has ended but was not waited for still has an entry.
        state=$(sed 's/.*) //' "/proc/$process/stat" 2>/dev/null)
        [[ -z $state || $state == Z* ]] && ((++ended)) && break
        sleep 0.1
      done
    done
    kill -KILL $parent 2>/dev/null
    echo "ended: $ended of $parent $first $second")script");
  EXPECT_THAT(result.output, testing::ContainsRegex("ended: 3 of [0-9]+ [0-9]+ [0-9]+"));
}

// A closed terminal, the end of a batch job, and the out-of-memory killer.
INSTANTIATE_TEST_SUITE_P(Signals, SignalTest, testing::Values("HUP", "TERM", "KILL"),
                         [](const auto& test) { return std::string(test.param); });

// Below the ports that the system gives away by itself, and another one for each test that runs at the same time.
constexpr const char* kFindPort = "port=$((20000 + 2 * ($$ % 5000))); ";

TEST(ProcessesTest, VariablesOfTorchrunAreUnderstood) {
  const TemporaryDirectory directory;
  const std::string file = directory.file("report.json");
  const ProgramResult result = runScript(std::string(kFindPort) + R"(
    export WORLD_SIZE=3 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port TORCHELASTIC_USE_AGENT_STORE=True
    RANK=1 "$0" -b 1K -e 1K & first=$!
    RANK=2 "$0" -b 1K -e 1K & second=$!
    RANK=0 "$0" -b 1K -e 1K -J "$1" && wait $first && wait $second)",
                                         file);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  expectRight(readJson(file), 1, 3, 3);
}

TEST(ProcessesTest, ProcessesMayBeNumberedByHand) {
  const TemporaryDirectory directory;
  const std::string file = directory.file("report.json");
  const ProgramResult result = runScript(std::string(kFindPort) + R"(
    export SIGNCCL_COMM_ID=localhost:$port SIGNCCL_COMM_SECRET=geheim
    "$0" -b 1K -e 1K --rank 1 --nranks 2 & other=$!
    "$0" -b 1K -e 1K --rank 0 --nranks 2 -J "$1" && wait $other)",
                                         file);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  expectRight(readJson(file), 1, 2, 2);
}

TEST(ProcessesTest, ALauncherWithoutAMeetingPointIsToldWhatToSet) {
  const ProgramResult result = runPerf({"-b", "64", "-e", "64"}, {"RANK=0", "WORLD_SIZE=2"});
  EXPECT_EQ(result.exit_code, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("set SIGNCCL_COMM_ID=host:port, or MASTER_ADDR and MASTER_PORT"));
}

#ifdef SIGNCCL_MPIRUN
TEST(ProcessesTest, MpirunNeedsNothingElse) {
  const TemporaryDirectory directory;
  const std::string file = directory.file("report.json");
  const ProgramResult result = runProgram(
      SIGNCCL_MPIRUN, {"-np", "3", "--oversubscribe", SIGNCCL_SIGN_ALL_REDUCE_PERF, "-b", "1K", "-e", "1K", "-J", file},
      // PMIx does not free everything.
      {"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "ASAN_OPTIONS=detect_leaks=0"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  expectRight(readJson(file), 1, 3, 3);
}
#endif

}  // namespace
}  // namespace signccl::perf
