// SPDX-License-Identifier: Apache-2.0
#include "launch/launcher.h"

#include <cstdlib>
#include <iostream>
#include <set>
#include <string>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/meet.h"
#include "refusal.h"
#include "variables.h"

namespace signccl::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct LauncherCase {
  Variables variables;
  const char* origin;
  int process;
  int nprocesses;
};

TEST(EnvironmentVariableTest, BlanksAroundAValueAreLeftOut) {
  setenv("SIGNCCL_TEST_VARIABLE", " 2 3\t\r", 1);
  EXPECT_EQ(environmentVariable("SIGNCCL_TEST_VARIABLE"), "2 3");
  setenv("SIGNCCL_TEST_VARIABLE", " \r", 1);
  EXPECT_EQ(environmentVariable("SIGNCCL_TEST_VARIABLE"), "");
  unsetenv("SIGNCCL_TEST_VARIABLE");
  EXPECT_EQ(environmentVariable("SIGNCCL_TEST_VARIABLE"), std::nullopt);
}

TEST(PlaceFromLauncherTest, EveryLauncherIsUnderstood) {
  const std::vector<LauncherCase> cases = {
      {{{"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"PMIX_RANK", "3"}}, "Open MPI", 3, 4},
      {{{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}}, "PMI", 0, 2},
      {{{"RANK", "7"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}}, "torchrun", 7, 8},
      {{{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "3"}}, "Slurm", 1, 3},
      {{{"SLURM_STEP_ID", "2"}, {"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "9"}, {"SLURM_STEP_NUM_TASKS", "3"}},
       "Slurm",
       1,
       3},
  };
  for (const LauncherCase& one : cases) {
    const auto place = placeFromLauncher(one.variables);
    ASSERT_TRUE(place) << one.origin;
    EXPECT_EQ(place->origin, one.origin);
    EXPECT_EQ(place->process, one.process) << one.origin;
    EXPECT_EQ(place->nprocesses, one.nprocesses) << one.origin;
  }
}

TEST(LauncherVariablesTest, HaveEveryNameThatIsAskedFor) {
  std::string listed = ", ";
  for (const LauncherVariable& one : launcherVariables()) listed += one.names + std::string(", ");
  std::set<std::string> asked;
  const auto ask = [&](const Variables& variables) {
    const Environment recording = [&](const std::string& name) {
      asked.insert(name);
      return variables(name);
    };
    placeFromLauncher(recording);
    meetingPoint(recording);
  };
  ask({});
  ask({{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}});
  ask({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "5"}, {"PMIX_NAMESPACE", "job"}});
  EXPECT_TRUE(asked.erase("SIGNCCL_COMM_ID")) << "it is a setting";
  EXPECT_GT(asked.size(), 10U);
  for (const std::string& name : asked) EXPECT_THAT(listed, HasSubstr(", " + name + ", "));
}

TEST(PlaceFromLauncherTest, WithoutVariablesThereIsNoPlace) { EXPECT_FALSE(placeFromLauncher(Variables{})); }

TEST(PlaceFromLauncherTest, TheInnermostLauncherWins) {
  const Variables torchrun_in_srun = {
      {"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "2"}, {"RANK", "5"}, {"WORLD_SIZE", "8"}};
  EXPECT_EQ(placeFromLauncher(torchrun_in_srun)->process, 5);
  const Variables mpirun_in_a_slurm_job = {{"SLURM_STEP_ID", "0"},
                                           {"SLURM_PROCID", "0"},
                                           {"SLURM_NTASKS", "1"},
                                           {"OMPI_COMM_WORLD_RANK", "2"},
                                           {"OMPI_COMM_WORLD_SIZE", "3"}};
  EXPECT_EQ(placeFromLauncher(mpirun_in_a_slurm_job)->process, 2);
}

TEST(PlaceFromLauncherTest, ABatchScriptOfSlurmIsNoTask) {
  const char* const batch_step = "4294967291";
  EXPECT_FALSE(placeFromLauncher(Variables{{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}}));
  EXPECT_FALSE(
      placeFromLauncher(Variables{{"SLURM_STEP_ID", batch_step}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}}));
}

struct BadCase {
  Variables variables;
  std::vector<std::string> words;
};

TEST(PlaceFromLauncherTest, WrongValuesAreNamedWithWhatIsExpected) {
  const std::vector<BadCase> cases = {
      {{{"RANK", "4"}, {"WORLD_SIZE", "4"}}, {"RANK is 4", "0 to 3", "WORLD_SIZE is 4"}},
      {{{"RANK", "-1"}, {"WORLD_SIZE", "4"}}, {"RANK is '-1'", "0 to 32767"}},
      {{{"RANK", "0"}, {"WORLD_SIZE", "0"}}, {"WORLD_SIZE is '0'", "1 or more"}},
      {{{"RANK", "0"}, {"WORLD_SIZE", "many"}}, {"WORLD_SIZE is 'many'"}},
      {{{"RANK", "0"}, {"WORLD_SIZE", ""}}, {"WORLD_SIZE is ''"}},
      {{{"RANK", "0"}, {"WORLD_SIZE", "4 "}}, {"WORLD_SIZE is '4 '"}},
      {{{"RANK", "0"}}, {"RANK is set to '0'", "WORLD_SIZE is not set"}},
      {{{"WORLD_SIZE", "2"}}, {"WORLD_SIZE is set to '2'", "RANK is not set"}},
      {{{"OMPI_COMM_WORLD_RANK", "1x"}, {"OMPI_COMM_WORLD_SIZE", "2"}}, {"OMPI_COMM_WORLD_RANK is '1x'"}},
      {{{"PMI_RANK", "2"}, {"PMI_SIZE", "2"}}, {"PMI_RANK is 2", "0 to 1", "PMI_SIZE"}},
      {{{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "5"}, {"SLURM_NTASKS", "5"}}, {"SLURM_PROCID is 5", "0 to 4"}},
      {{{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "5"}}, {"SLURM_NTASKS is not set"}},
  };
  for (const BadCase& bad : cases) {
    const std::string text = refusalOf([&] { placeFromLauncher(bad.variables); });
    for (const std::string& word : bad.words) EXPECT_THAT(text, HasSubstr(word));
  }
}

// In a process of its own, because PMIx_Init() does not free what it has when it fails.
TEST(PlaceFromLauncherDeathTest, ARankOfPmixAloneNeedsPmix) {
  const Variables variables = {{"PMIX_RANK", "1"}, {"PMIX_NAMESPACE", "no such job"}};
  EXPECT_EXIT(
      {
        std::cerr << refusalOf([&] { placeFromLauncher(variables); });
        _exit(3);
      },
      testing::ExitedWithCode(3), "PMI");
}

TEST(PlaceFromArgumentsTest, BothNumbersAreNeededAndHaveToFit) {
  EXPECT_EQ(placeFromArguments(1, 3).process, 1);
  EXPECT_EQ(placeFromArguments(1, 3).nprocesses, 3);
  EXPECT_THAT(refusalOf([] { placeFromArguments(1, std::nullopt); }), HasSubstr("--nranks is not"));
  EXPECT_THAT(refusalOf([] { placeFromArguments(std::nullopt, 2); }), HasSubstr("--rank is not"));
  EXPECT_THAT(refusalOf([] { placeFromArguments(2, 2); }), AllOf(HasSubstr("--rank is 2"), HasSubstr("0 to 1")));
}

}  // namespace
}  // namespace signccl::launch
