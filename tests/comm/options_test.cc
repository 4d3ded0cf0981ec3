// SPDX-License-Identifier: Apache-2.0
#include "comm/options.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "base/environment.h"
#include "support/caught.h"

namespace signccl {
namespace {

class OptionsTest : public EnvironmentTest {
 protected:
  CommOptions make(const signcclConfig_t* config = nullptr, const CommOptions& base = {}) {
    return makeOptions(base, config, load());
  }

  Caught errorOf(const signcclConfig_t& config) {
    return caught([&] { make(&config); });
  }

  /// The error with one variable set.
  Caught errorWith(const std::string& name, const std::string& value) {
    set(name, value);
    const Caught error = caught([&] { make(); });
    unset(name);
    return error;
  }
};

signcclConfig_t defaultConfig() { return SIGNCCL_CONFIG_INITIALIZER; }

TEST_F(OptionsTest, DefaultsAreThoseOfTheHeader) {
  const CommOptions options = make();
  EXPECT_EQ(options.nthreads, 0);
  EXPECT_EQ(options.timeout, std::chrono::minutes(10));
  EXPECT_FALSE(options.algorithm);
  EXPECT_EQ(options.name, "");
  EXPECT_EQ(options.ranks_per_node, 0);
  EXPECT_EQ(options.kernels, selectKernels(nullptr));
  EXPECT_EQ(options.trace, nullptr);
}

TEST_F(OptionsTest, FieldsLeftUndefinedKeepTheBase) {
  CommOptions base;
  base.nthreads = 3;
  base.timeout = std::chrono::milliseconds(77);
  base.algorithm = Algorithm::kTree;
  base.name = "parent";
  base.slice_bytes = 4096;
  base.ranks_per_node = 2;
  const signcclConfig_t config = defaultConfig();
  const CommOptions options = make(&config, base);
  EXPECT_EQ(options.nthreads, 3);
  EXPECT_EQ(options.timeout, std::chrono::milliseconds(77));
  EXPECT_EQ(options.algorithm, Algorithm::kTree);
  EXPECT_EQ(options.name, "parent");
  EXPECT_EQ(options.slice_bytes, 4096U);
  EXPECT_EQ(options.ranks_per_node, 2);
}

TEST_F(OptionsTest, ConfigGoesBeforeTheBase) {
  CommOptions base;
  base.nthreads = 3;
  base.algorithm = Algorithm::kTree;
  signcclConfig_t config = defaultConfig();
  config.nThreads = 5;
  config.timeoutMs = 1234;
  config.algorithm = "ring";
  config.commName = "child";
  const CommOptions options = make(&config, base);
  EXPECT_EQ(options.nthreads, 5);
  EXPECT_EQ(options.timeout, std::chrono::milliseconds(1234));
  EXPECT_EQ(options.algorithm, Algorithm::kRing);
  EXPECT_EQ(options.name, "child");
}

TEST_F(OptionsTest, EnvironmentGoesBeforeTheConfig) {
  signcclConfig_t config = defaultConfig();
  config.nThreads = 5;
  config.timeoutMs = 1234;
  config.algorithm = "ring";
  set("SIGNCCL_NTHREADS", "7");
  set("SIGNCCL_TIMEOUT", "9");
  set("SIGNCCL_ALGO", "oneshot");
  const CommOptions options = make(&config);
  EXPECT_EQ(options.nthreads, 7);
  EXPECT_EQ(options.timeout, std::chrono::seconds(9));
  EXPECT_EQ(options.algorithm, Algorithm::kOneShot);
}

TEST_F(OptionsTest, SettingsWithoutAFieldComeFromTheEnvironment) {
  set("SIGNCCL_SLICE_BYTES", "64");
  set("SIGNCCL_RANKS_PER_NODE", "4");
  set("SIGNCCL_KERNELS", "scalar");
  set("SIGNCCL_NCHANNELS", "16");
  set("SIGNCCL_LINK_MBIT", "2500");
  const CommOptions options = make();
  EXPECT_EQ(options.network.nchannels, 16);
  EXPECT_EQ(options.network.link_mbit, 2500U);
  EXPECT_EQ(options.slice_bytes, 64U);
  EXPECT_EQ(options.ranks_per_node, 4);
  EXPECT_STREQ(options.kernels->name, "scalar");
}

TEST_F(OptionsTest, LimitsOfTheFieldsAreAllowed) {
  signcclConfig_t config = defaultConfig();
  config.nThreads = 1;
  config.timeoutMs = 1;
  EXPECT_EQ(make(&config).nthreads, 1);
  config.nThreads = 1024;
  config.timeoutMs = std::numeric_limits<int>::max();
  EXPECT_EQ(make(&config).nthreads, 1024);
  EXPECT_EQ(make(&config).timeout.count(), std::numeric_limits<int>::max());
}

TEST_F(OptionsTest, FieldOutOfRangeIsAnErrorWithItsValueAndRange) {
  for (const int bad : {0, -1, 1025}) {
    signcclConfig_t config = defaultConfig();
    config.nThreads = bad;
    EXPECT_EQ(errorOf(config),
              (Caught{signcclInvalidArgument, "config.nThreads is " + std::to_string(bad) + ", expected 1 to 1024"}));
  }
  for (const int bad : {0, -5}) {
    signcclConfig_t config = defaultConfig();
    config.timeoutMs = bad;
    EXPECT_EQ(errorOf(config), (Caught{signcclInvalidArgument,
                                       "config.timeoutMs is " + std::to_string(bad) + ", expected 1 to 2147483647"}));
  }
}

TEST_F(OptionsTest, UnknownAlgorithmIsAnErrorThatListsThem) {
  const std::string expected = "expected one of oneshot, direct, ring, tree, knomial, hierarchical";
  for (const std::string bad : {"Ring", "", "butterfly"}) {
    signcclConfig_t config = defaultConfig();
    config.algorithm = bad.c_str();
    std::string message = "config.algorithm is '";
    message.append(bad).append("', ").append(expected);
    EXPECT_EQ(errorOf(config), (Caught{signcclInvalidArgument, message}));
  }
  EXPECT_EQ(errorWith("SIGNCCL_ALGO", "butterfly"),
            (Caught{signcclInvalidUsage, "SIGNCCL_ALGO=butterfly (from the environment): " + expected}));
}

TEST_F(OptionsTest, ConfigThatWasNotInitialisedIsAnError) {
  signcclConfig_t config = defaultConfig();
  config.magic = 0;
  const std::string magic = std::to_string(SIGNCCL_CONFIG_MAGIC);
  EXPECT_EQ(errorOf(config), (Caught{signcclInvalidArgument,
                                     "config was not initialised with SIGNCCL_CONFIG_INITIALIZER "
                                     "(magic 0, expected " +
                                         magic + ")"}));
  config = defaultConfig();
  config.size = 12;
  EXPECT_EQ(errorOf(config).code, signcclInvalidArgument);
}

TEST_F(OptionsTest, BadNumberInTheEnvironmentIsAnErrorWithItsRange) {
  const std::pair<const char*, const char*> ranges[] = {
      {"SIGNCCL_NTHREADS", "1 to 1024"},           {"SIGNCCL_TIMEOUT", "1 to 2147483"},
      {"SIGNCCL_SLICE_BYTES", "64 to 1073741824"}, {"SIGNCCL_NCHANNELS", "1 to 16"},
      {"SIGNCCL_LINK_MBIT", "1 to 100000000"},     {"SIGNCCL_RANKS_PER_NODE", "1 to 32767"}};
  for (const auto& [name, range] : ranges) {
    for (const std::string bad : {"0", "-1", "many", "3x", "99999999999"}) {
      EXPECT_EQ(errorWith(name, bad),
                (Caught{signcclInvalidUsage,
                        std::string(name) + "=" + bad + " (from the environment): expected an integer from " + range}));
    }
  }
}

TEST_F(OptionsTest, UnknownKernelsAreAnErrorThatListsThoseOfThisMachine) {
  const Caught error = errorWith("SIGNCCL_KERNELS", "mmx");
  EXPECT_EQ(error.code, signcclInvalidUsage);
  EXPECT_TRUE(error.message.starts_with(
      "SIGNCCL_KERNELS=mmx (from the environment): expected one that this machine supports: "))
      << error.message;
  EXPECT_TRUE(error.message.ends_with("scalar")) << error.message;
}

TEST_F(OptionsTest, ACommunicatorOfNcclMakesItTheTransportUnlessTheSettingSaysOtherwise) {
  int some = 0;
  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  config.ncclComm = reinterpret_cast<ncclComm*>(&some);
  const CommOptions options = makeOptions({}, &config, Settings::load());
  EXPECT_EQ(options.nccl_parent, config.ncclComm);
  EXPECT_EQ(options.device_transport, DeviceTransport::kNccl);
  EXPECT_EQ(options.shared()[6].second, "a communicator of NCCL");
  EXPECT_EQ(makeOptions(options, nullptr, Settings::load()).nccl_parent, nullptr) << "a split has other ranks";
  setenv("SIGNCCL_TRANSPORT", "host", 1);
  EXPECT_EQ(makeOptions({}, &config, Settings::load()).device_transport, DeviceTransport::kHost);
  unsetenv("SIGNCCL_TRANSPORT");
}

TEST_F(OptionsTest, SharedSettingsAreThoseThatDecideWhoSendsWhat) {
  CommOptions options;
  options.algorithm = Algorithm::kRing;
  options.slice_bytes = 64;
  options.ranks_per_node = 3;
  options.network.nchannels = 2;
  EXPECT_EQ(options.shared(), (SharedSettings{{"SIGNCCL_ALGO", "ring"},
                                              {"SIGNCCL_SLICE_BYTES", "64"},
                                              {"SIGNCCL_NCHANNELS", "2"},
                                              {"SIGNCCL_RANKS_PER_NODE", "3"},
                                              {"SIGNCCL_TUNING_FILE", "unset"},
                                              {"SIGNCCL_TRANSPORT", "host"},
                                              {"config.ncclComm", "NULL"}}));
  EXPECT_EQ(CommOptions{}.shared()[0].second, "unset");
  EXPECT_EQ(CommOptions{}.shared()[3].second, "unset");
  CommOptions tuned = options;
  tuned.tuning = TuningTable::parse(
      R"({"format": "signccl-tuning", "version": 1, "groups": [{"collective": "vote", "nranks": 1, "nnodes": 1,)"
      R"( "choices": [{"from_count": 0, "algorithm": "ring"}]}]})",
      "t.json");
  EXPECT_EQ(tuned.shared()[4].second, "a file with digest " + tuned.tuning->digest());
  CommOptions other = options;
  other.nthreads = 9;
  other.timeout = std::chrono::milliseconds(1);
  other.name = "other";
  EXPECT_EQ(other.shared(), options.shared()) << "ranks may differ in these";
}

}  // namespace
}  // namespace signccl
