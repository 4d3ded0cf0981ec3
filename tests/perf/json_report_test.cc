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
    report.start(options_, {100, "avx2"}, {{"somewhere", 42, {}}});
    report.add({});
    report.finish({}, {}, options_);
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
  report.start(options_, {100, "avx2"}, {{"here", 1, {}}, {"there", 2, {}}});
  report.finish({}, {}, options_);
  const auto config = nlohmann::json::parse(std::ifstream(report.path()))["config"];
  EXPECT_EQ(config["nprocesses"], 2);
  EXPECT_EQ(config["nthreads"], 2);
  ASSERT_EQ(config["devices"].size(), 4U);
  EXPECT_EQ(config["devices"][1]["hostname"], "here");
  EXPECT_EQ(config["devices"][2]["hostname"], "there");
  EXPECT_EQ(config["devices"][3]["pid"], 2);
}

TEST_F(JsonReportTest, RowsAreInTheFileAsSoonAsTheyAreAdded) {
  JsonReport report(options_);
  const auto now = [&] { return nlohmann::json::parse(std::ifstream(report.path())); };
  report.start(options_, {100, "avx2"}, {{"somewhere", 42, {}}});
  EXPECT_EQ(now()["results"].size(), 0U);
  EXPECT_EQ(now()["config"]["kernels"], "avx2");
  for (std::size_t row = 1; row <= 3; ++row) {
    Row added;
    added.size_bytes = row;
    report.add(added);
    ASSERT_EQ(now()["results"].size(), row);
    EXPECT_EQ(now()["results"].back()["size"], row);
    EXPECT_FALSE(now().contains("end_time"));
  }
  report.finish({}, {}, options_);
  EXPECT_EQ(now()["results"].size(), 3U);
  EXPECT_TRUE(now().contains("end_time"));
}

TEST_F(JsonReportTest, IsCompleteWithoutAStart) {
  JsonReport report(options_);
  report.finish({}, {}, options_);
  const auto document = nlohmann::json::parse(std::ifstream(report.path()));
  EXPECT_EQ(document["config"], nullptr);
  EXPECT_EQ(document["results"].size(), 0U);
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
