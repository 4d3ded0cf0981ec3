// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/json_report.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signccl::perf {
namespace {

namespace fs = std::filesystem;

class JsonReportTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "signccl_json_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    options_.output_file = directory_ / "report.json";
  }
  void TearDown() override { fs::remove_all(directory_); }

  nlohmann::json written() {
    JsonReport report(options_);
    report.start({100, "avx2"}, {{"somewhere", 42, {}, {}}});
    report.add({});
    report.finish({});
    return nlohmann::json::parse(std::ifstream(report.path()));
  }

  fs::path directory_;
  Options options_;
};

TEST_F(JsonReportTest, HasTheKeysOfNcclTests) {
  const auto document = written();
  for (const char* key : {"version", "start_time", "args", "env", "nccl_version", "config", "results", "out_of_bounds",
                          "average_bus_bandwidth", "errors", "end_time"}) {
    EXPECT_TRUE(document.contains(key)) << key;
  }
  EXPECT_EQ(document["version"], 3);
  EXPECT_EQ(document["config"]["devices"].size(), 2U);
  EXPECT_EQ(document["config"]["step_bytes"], 1048576);
  EXPECT_EQ(document["out_of_bounds"]["okay"], "true");
  EXPECT_EQ(document["average_bus_bandwidth"]["okay"], "unchecked");
  EXPECT_EQ(document["results"][0]["root"], "    -1");
}

TEST_F(JsonReportTest, DevicesAreThoseOfAllProcesses) {
  options_.nprocesses = 2;
  options_.nranks = 4;
  JsonReport report(options_);
  report.start({100, "avx2"}, {{"here", 1, {}, {}}, {"there", 2, {}, {}}});
  report.finish({});
  const auto config = nlohmann::json::parse(std::ifstream(report.path()))["config"];
  EXPECT_EQ(config["nprocesses"], 2);
  EXPECT_EQ(config["nthreads"], 2);
  ASSERT_EQ(config["devices"].size(), 4U);
  EXPECT_EQ(config["devices"][1]["hostname"], "here");
  EXPECT_EQ(config["devices"][2]["hostname"], "there");
  EXPECT_EQ(config["devices"][3]["pid"], 2);
}

TEST_F(JsonReportTest, TheFileIsCompleteAfterEveryRow) {
  JsonReport report(options_);
  const auto document = [&] { return nlohmann::json::parse(std::ifstream(report.path())); };
  EXPECT_EQ(document()["results"].size(), 0U);
  EXPECT_EQ(document()["config"], nullptr);
  report.start({100, "avx2"}, {{"somewhere", 42, {}, {}}});
  EXPECT_EQ(document()["config"]["nthreads"], 2);
  Row row;
  for (std::size_t nrows = 1; nrows <= 3; ++nrows) {
    row.c.count = nrows;
    row.out_of_place.busbw = 1.0 / 3;
    row.in_place = row.out_of_place;
    row.out_of_place.nwrong = nrows == 3 ? 7 : 0;
    report.add(row);
    const auto now = document();
    EXPECT_EQ(now["results"].size(), nrows);
    EXPECT_EQ(now["results"].back()["count"], nrows);
    EXPECT_EQ(now["out_of_bounds"]["count"], nrows == 3 ? 7 : 0);
    EXPECT_EQ(now["end_time"], nullptr);
  }
  report.finish({{"rank 1: out of luck"}, 99});
  EXPECT_EQ(document()["results"].size(), 3U);
  EXPECT_EQ(document()["errors"][0], "rank 1: out of luck");
  EXPECT_EQ(document()["out_of_bounds"]["okay"], "false");
  EXPECT_EQ(document()["scratch_bytes_per_rank"], 99);
  EXPECT_TRUE(document()["end_time"].is_string());
}

TEST_F(JsonReportTest, AFullDiskIsAnErrorWithTheName) {
  options_.output_file = directory_ / "full";
  JsonReport report(options_);
  fs::remove(options_.output_file);
  fs::create_symlink("/dev/full", options_.output_file);
  try {
    report.start({100, "avx2"}, {{"somewhere", 42, {}, {}}});
    FAIL() << "nothing noticed";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(options_.output_file));
  }
}

TEST_F(JsonReportTest, SecretIsHidden) {
  setenv("SIGNCCL_COMM_SECRET", "sesame", 1);
  const std::string env = written()["env"].dump();
  unsetenv("SIGNCCL_COMM_SECRET");
  EXPECT_THAT(env, testing::HasSubstr("SIGNCCL_COMM_SECRET=(hidden)"));
  EXPECT_THAT(env, testing::Not(testing::HasSubstr("sesame")));
}

TEST_F(JsonReportTest, NeverOverwritesAFile) {
  std::ofstream(options_.output_file) << "precious";
  EXPECT_EQ(JsonReport(options_).path(), options_.output_file + ".0");
  EXPECT_EQ(JsonReport(options_).path(), options_.output_file + ".1");
  std::string content;
  std::ifstream(options_.output_file) >> content;
  EXPECT_EQ(content, "precious");
}

TEST_F(JsonReportTest, APlaceThatCannotBeWrittenIsRefusedByName) {
  options_.output_file = directory_ / "missing" / "report.json";
  try {
    const JsonReport report(options_);
    FAIL() << "created " << report.path();
  } catch (const OptionError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(options_.output_file));
  }
}

TEST_F(JsonReportTest, OnlyVariablesOfTheLibraryAndItsTransportAreKept) {
  setenv("SIGNCCL_TEST_VARIABLE", "ours", 1);
  setenv("SOME_SECRET", "token", 1);
  const std::string env = written()["env"].dump();
  unsetenv("SIGNCCL_TEST_VARIABLE");
  unsetenv("SOME_SECRET");
  EXPECT_THAT(env, testing::HasSubstr("SIGNCCL_TEST_VARIABLE=ours"));
  EXPECT_THAT(env, testing::Not(testing::HasSubstr("token")));
}

}  // namespace
}  // namespace signccl::perf
