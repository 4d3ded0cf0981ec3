// SPDX-License-Identifier: Apache-2.0
#include "run/start.h"

#include <filesystem>
#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run/folder.h"

namespace signccl::run {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr const char* kRules = R"({"version": 1, "rules": [{"name": "signs", "match": {}, "action": "sign_sum"}]})";

/// An installed tree with the library for MPI.
class StartTest : public testing::Test {
 protected:
  StartTest() : library_(folder_.putLibrary("lib/libsignccl_mpi.so")) {
    folder_.write("r.json", kRules);
    options_.command = {"/bin/sh"};
  }

  Start plan() {
    const auto environment = [this](const char* name) { return variables_[name]; };
    return planStart(options_, environment, folder_.path() / "bin");
  }

  Folder folder_;
  std::string library_;
  Options options_;
  std::map<std::string, std::string> variables_;
};

TEST_F(StartTest, RulesLibraryAndProgramAreSaid) {
  options_.rules = folder_.at("r.json");
  const Start start = plan();
  EXPECT_EQ(start.exit_status, 0);
  EXPECT_THAT(start.lines, ElementsAre(HasSubstr("rules of " + folder_.at("r.json") + ", digest "),
                                       "  'signs': type any, op any, count 65536 or more, ranks any -> sign_sum",
                                       "preloads " + library_ + " into /bin/sh"));
  EXPECT_THAT(start.variables, ElementsAre(Pair("LD_PRELOAD", library_), Pair("SIGNCCL_RULES", folder_.at("r.json"))));
}

TEST_F(StartTest, TheOptionGoesBeforeTheVariable) {
  variables_["SIGNCCL_RULES"] = "{";
  EXPECT_EQ(plan().exit_status, 1);
  options_.rules = kRules;
  EXPECT_EQ(plan().exit_status, 0);
  EXPECT_THAT(plan().variables, Contains(Pair("SIGNCCL_RULES", kRules)));
}

TEST_F(StartTest, APathBecomesAbsoluteSinceProgramsChangeTheirFolder) {
  options_.rules = "nowhere/r.json";
  EXPECT_THAT(plan().lines, ElementsAre(AllOf(HasSubstr("--rules /"), HasSubstr("cannot read the rules file"))));
  options_.rules.reset();
  variables_["SIGNCCL_RULES"] = "nowhere/r.json";
  EXPECT_THAT(plan().lines, ElementsAre(HasSubstr("SIGNCCL_RULES=/")));
}

TEST_F(StartTest, AllThatIsWrongIsSaidAtOnce) {
  options_.rules = R"({"version": 1, "rules": [{"match": {"typ": 1}, "action": "vote"}]})";
  options_.wanted = Wanted::kNccl;
  options_.command = {"/no/program"};
  const Start start = plan();
  EXPECT_EQ(start.exit_status, 1);
  ASSERT_GE(start.lines.size(), 5U);
  EXPECT_THAT(start.lines[0], HasSubstr("--rules: /rules/0/match/typ: 1"));
  EXPECT_THAT(start.lines[1], HasSubstr("--rules: /rules/0/options/lossy"));
  EXPECT_EQ(start.lines[2], "the stand-in for NCCL cannot be preloaded:");
  EXPECT_THAT(start.lines.back(), HasSubstr("cannot start '/no/program'"));
}

TEST_F(StartTest, ALogThatCannotBeIsAnErrorToo) {
  options_.rules = kRules;
  variables_["SIGNCCL_DEBUG"] = "LOUD";
  variables_["SIGNCCL_DEBUG_FILE"] = folder_.at("log");
  EXPECT_EQ(plan().exit_status, 1);
  EXPECT_THAT(plan().lines, ElementsAre("SIGNCCL_DEBUG=LOUD: expected one of VERSION, WARN, INFO, TRACE"));
  variables_["SIGNCCL_DEBUG"] = "INFO";
  EXPECT_EQ(plan().exit_status, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_.at("log.interpose"))) << "the file is the libraries' to open";
}

TEST_F(StartTest, AProgramThatIsMissingAloneHasItsOwnStatus) {
  options_.command = {"/no/program"};
  EXPECT_EQ(plan().exit_status, 127);
}

TEST_F(StartTest, ADryRunAsksForItsReport) {
  options_.rules = kRules;
  options_.is_dry = true;
  variables_["SIGNCCL_INTERPOSE"] = "on";
  EXPECT_THAT(plan().lines[0], HasSubstr("dry run, nothing is taken; rules given as a text"));
  EXPECT_THAT(plan().variables, Contains(Pair("SIGNCCL_INTERPOSE", "dry")));
  EXPECT_THAT(plan().variables, Contains(Pair("SIGNCCL_DEBUG", "INFO")));
  EXPECT_THAT(plan().variables, Contains(Pair("SIGNCCL_DEBUG_SUBSYS", "INTERPOSE")));
  variables_["SIGNCCL_DEBUG"] = "WARN";
  EXPECT_THAT(plan().variables, testing::Not(Contains(Pair("SIGNCCL_DEBUG", "INFO"))));
  EXPECT_THAT(plan().lines, Contains(HasSubstr("hides the report of the dry run")));
  variables_["SIGNCCL_DEBUG"] = "INFO";
  EXPECT_THAT(plan().lines, testing::Not(Contains(HasSubstr("hides the report"))));
  variables_["SIGNCCL_DEBUG_SUBSYS"] = "INIT";
  EXPECT_THAT(plan().lines, Contains(HasSubstr("hides the report")));
}

TEST_F(StartTest, WithoutRulesOrWithInterpositionOffItSaysThatAllIsForwarded) {
  EXPECT_THAT(plan().lines[0], HasSubstr("warning: no rules are given, so everything is forwarded"));
  variables_["SIGNCCL_INTERPOSE"] = "off";
  EXPECT_EQ(plan().lines[0], "SIGNCCL_INTERPOSE=off: everything is forwarded");
  options_.rules = "{";
  EXPECT_EQ(plan().exit_status, 1);
}

TEST_F(StartTest, AProgramThatIgnoresThePreloadIsAWarning) {
  options_.rules = kRules;
  options_.command = {SIGNCCL_STATIC_PROGRAM};
  const Start start = plan();
  EXPECT_EQ(start.exit_status, 0);
  EXPECT_EQ(start.lines.back(), "warning: LD_PRELOAD has no effect on this program, so everything is forwarded: " +
                                    std::string(SIGNCCL_STATIC_PROGRAM) + ": it is linked statically");
}

TEST_F(StartTest, TheRankIsThatOfTheLauncher) {
  const auto rank_with = [](const char* variable) {
    return rankOf([=](const char* name) { return std::string(name) == variable ? "3" : ""; });
  };
  for (const char* const name : {"RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"}) {
    EXPECT_EQ(rank_with(name), "3") << name;
  }
  EXPECT_EQ(rank_with("HOME"), std::nullopt);
}

}  // namespace
}  // namespace signccl::run
