// SPDX-License-Identifier: Apache-2.0
#include "comm/job_secret.h"

#include <filesystem>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/environment.h"

namespace signccl {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using Variables = std::map<std::string, std::string>;

std::string nameIn(const Variables& variables) {
  return jobName([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

const Variables kStep = {{"SLURM_JOB_ID", "12"}, {"SLURM_STEP_ID", "3"}, {"SLURM_PROCID", "0"}};

Variables with(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

TEST(JobNameTest, IsThatOfTheLauncher) {
  EXPECT_EQ(nameIn({}), "");
  EXPECT_EQ(nameIn({{"TORCHELASTIC_RUN_ID", "a7"}}), "torchrun's run a7");
  EXPECT_EQ(nameIn({{"PMIX_NAMESPACE", "prterun-1"}}), "PMIx job prterun-1");
  EXPECT_EQ(nameIn(kStep), "Slurm job 12, step 3");
  EXPECT_EQ(nameIn(with(kStep, "PMIX_NAMESPACE", "slurm.pmix.12.3")), "PMIx job slurm.pmix.12.3");
}

TEST(JobNameTest, TorchrunsDefaultNamesNoJob) {
  EXPECT_EQ(nameIn({{"TORCHELASTIC_RUN_ID", "none"}, {"RANK", "0"}}), "");
  EXPECT_EQ(nameIn({{"TORCHELASTIC_RUN_ID", "none"}, {"PMIX_NAMESPACE", "of one host"}}), "");
}

TEST(JobNameTest, StepsOfSlurmThatStartedALauncherAreNoJob) {
  for (const char* const rank : {"RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK"}) {
    EXPECT_EQ(nameIn(with(kStep, rank, "0")), "") << rank;
  }
  EXPECT_EQ(nameIn(with(kStep, "TORCHELASTIC_RUN_ID", "a7")), "torchrun's run a7");
}

TEST(JobNameTest, SlurmNamesOnlyStepsOfTasks) {
  for (const char* const step : {"4294967291", "4294967280", "batch", "-1"}) {
    EXPECT_EQ(nameIn(with(kStep, "SLURM_STEP_ID", step)), "") << step;
  }
  EXPECT_EQ(nameIn({{"SLURM_JOB_ID", "12"}}), "");
  EXPECT_EQ(nameIn(with(kStep, "SLURM_HET_SIZE", "2")), "");
}

class JobSecretTest : public EnvironmentTest {
 protected:
  JobSecret secretOf(const std::string& job = "") { return jobSecret(load(), job); }
  [[nodiscard]] static Secret bytesOf(const std::string& text) {
    Secret bytes{};
    std::ranges::copy(text, bytes.begin());
    return bytes;
  }
  std::string secretFile(const std::string& text, unsigned mode = 0600) {
    const std::string file = write("secret", text);
    std::filesystem::permissions(file, std::filesystem::perms{mode});
    set("SIGNCCL_COMM_SECRET_FILE", file);
    return file;
  }
};

TEST_F(JobSecretTest, JobsWithOtherNamesHaveOtherSecrets) {
  EXPECT_EQ(secretOf("").bytes, Secret{});
  EXPECT_EQ(secretOf("job 1").bytes, secretOf("job 1").bytes);
  EXPECT_NE(secretOf("job 1").bytes, secretOf("job 2").bytes);
  EXPECT_NE(secretOf("job 1").bytes, Secret{});
  EXPECT_FALSE(secretOf("job 1").is_users);
}

TEST_F(JobSecretTest, SecretOfTheUserGoesBeforeTheJob) {
  set("SIGNCCL_COMM_SECRET", "sesame");
  EXPECT_EQ(secretOf("job 1").bytes, bytesOf("sesame"));
  EXPECT_TRUE(secretOf().is_users);
}

TEST_F(JobSecretTest, FirstLineOfTheFileIsTheSecret) {
  secretFile(" sesame \r\nsecond line\n");
  EXPECT_EQ(secretOf("job 1").bytes, bytesOf("sesame"));
  EXPECT_TRUE(secretOf().is_users);
}

TEST_F(JobSecretTest, FileThatOthersMayReadIsRefused) {
  for (const unsigned mode : {0640U, 0604U, 0644U}) {
    const std::string file = secretFile("sesame", mode);
    EXPECT_THAT(usageErrorOf([&] { secretOf(); }), AllOf(HasSubstr("SIGNCCL_COMM_SECRET_FILE=" + file +
                                                                   " (from the environment): expected a file that no "
                                                                   "other user may read: its mode is 06"),
                                                         HasSubstr("(chmod 600)")));
  }
}

TEST_F(JobSecretTest, FileWithoutASecretOrWithALongOneIsRefused) {
  secretFile("");
  EXPECT_THAT(usageErrorOf([&] { secretOf(); }), HasSubstr("1 to 16 characters, not 0"));
  secretFile(std::string(17, 's'));
  EXPECT_THAT(usageErrorOf([&] { secretOf(); }),
              AllOf(HasSubstr("1 to 16 characters, not 17"), testing::Not(HasSubstr("ssss"))));
}

TEST_F(JobSecretTest, FileThatCannotBeReadIsNamed) {
  set("SIGNCCL_COMM_SECRET_FILE", path("none"));
  EXPECT_THAT(usageErrorOf([&] { secretOf(); }), AllOf(HasSubstr(path("none")), HasSubstr("No such file")));
  set("SIGNCCL_COMM_SECRET_FILE", path(""));
  EXPECT_THAT(usageErrorOf([&] { secretOf(); }), HasSubstr("Is a directory"));
}

TEST_F(JobSecretTest, TwoSecretsAreRefused) {
  secretFile("sesame");
  set("SIGNCCL_COMM_SECRET", "open");
  EXPECT_THAT(usageErrorOf([&] { secretOf(); }), HasSubstr("since SIGNCCL_COMM_SECRET is set too"));
}

}  // namespace
}  // namespace signccl
