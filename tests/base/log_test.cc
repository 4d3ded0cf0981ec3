// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <array>
#include <ctime>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "base/process_name.h"
#include "environment.h"

namespace signccl {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;

class LogTest : public EnvironmentTest {
 protected:
  /// The log is one for the process: each test starts with it silent.
  LogTest() { configure(); }
  ~LogTest() override {
    unset("SIGNCCL_DEBUG");
    unset("SIGNCCL_DEBUG_SUBSYS");
    unset("SIGNCCL_DEBUG_FILE");
    unset("SIGNCCL_DEBUG_TIMESTAMP_FORMAT");
    configure();
  }
  LogTest(const LogTest&) = delete;
  LogTest& operator=(const LogTest&) = delete;

  void configure() const { configureLogging(load()); }

  /// Logs to the file "log" at `level`.
  void logAt(const std::string& level, const std::string& subsystems = "") {
    set("SIGNCCL_DEBUG", level);
    set("SIGNCCL_DEBUG_SUBSYS", subsystems);
    set("SIGNCCL_DEBUG_FILE", path("log"));
    configure();
  }
};

TEST_F(LogTest, UnsetPrintsNothing) {
  testing::internal::CaptureStdout();
  configure();
  log(LogLevel::kWarn, Subsystem::kInit, 0, "text");
  EXPECT_FALSE(logEnabled(LogLevel::kVersion, Subsystem::kAll));
  EXPECT_THAT(testing::internal::GetCapturedStdout(), IsEmpty());
}

TEST_F(LogTest, EachLevelPrintsThoseBeforeIt) {
  const std::vector<std::string> names{"VERSION", "WARN", "INFO", "TRACE"};
  const std::vector<LogLevel> levels{LogLevel::kVersion, LogLevel::kWarn, LogLevel::kInfo, LogLevel::kTrace};
  for (std::size_t chosen = 0; chosen < names.size(); ++chosen) {
    logAt(names[chosen]);
    for (std::size_t level = 0; level < levels.size(); ++level) {
      EXPECT_EQ(logEnabled(levels[level], Subsystem::kInit), level <= chosen) << names[chosen] << " " << names[level];
    }
  }
}

TEST_F(LogTest, LinesGoToStandardOutputByDefault) {
  set("SIGNCCL_DEBUG", "WARN");
  testing::internal::CaptureStdout();
  configure();
  log(LogLevel::kWarn, Subsystem::kInit, 0, "text");
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("SIGNCCL WARN text\n"));
}

TEST_F(LogTest, LineHasHostProcessThreadRankLevelAndText) {
  logAt("INFO");
  log(LogLevel::kInfo, Subsystem::kInit, 3, "joined ", 4, " ranks");
  log(LogLevel::kInfo, Subsystem::kInit, kNoRank, "no rank");
  const std::string origin = hostName() + ":" + std::to_string(getpid()) + ":[0-9]+";
  EXPECT_THAT(read("log"), MatchesRegex("(.|\n)*\n" + origin + " \\[3\\] SIGNCCL INFO joined 4 ranks\n" + origin +
                                        " SIGNCCL INFO no rank\n"));
}

TEST_F(LogTest, VersionIsPrintedOnce) {
  logAt("VERSION");
  configure();
  EXPECT_THAT(read("log"), MatchesRegex("[^\n]* SIGNCCL VERSION version [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST_F(LogTest, SettingsInUseAreLoggedWithTheirOrigin) {
  set("SIGNCCL_NTHREADS", "2");
  const std::string home = write(".signccl.conf", "SIGNCCL_TIMEOUT=7\n");
  logAt("INFO");
  EXPECT_THAT(read("log"), AllOf(HasSubstr("SIGNCCL_NTHREADS set by the environment to '2'"),
                                 HasSubstr("SIGNCCL_TIMEOUT set by " + home + ":1 to '7'")));
}

TEST_F(LogTest, UnknownVariableIsAWarning) {
  set("SIGNCCL_ALGORITHM", "ring");
  logAt("WARN");
  EXPECT_THAT(read("log"), HasSubstr("WARN there is no setting SIGNCCL_ALGORITHM"));
}

TEST_F(LogTest, DefaultSubsystemsAreInitBootstrapEnvAndInterpose) {
  logAt("INFO");
  for (const Subsystem on : {Subsystem::kInit, Subsystem::kBootstrap, Subsystem::kEnv, Subsystem::kInterpose}) {
    EXPECT_TRUE(logEnabled(LogLevel::kInfo, on));
  }
  for (const Subsystem off : {Subsystem::kColl, Subsystem::kNet, Subsystem::kTuning, Subsystem::kAlloc,
                              Subsystem::kCall, Subsystem::kDestroy}) {
    EXPECT_FALSE(logEnabled(LogLevel::kInfo, off));
  }
}

TEST_F(LogTest, ListedSubsystemsAreOnAndOthersOff) {
  logAt("TRACE", "COLL,NET");
  log(LogLevel::kInfo, Subsystem::kColl, 0, "about coll");
  log(LogLevel::kTrace, Subsystem::kNet, 0, "about net");
  log(LogLevel::kInfo, Subsystem::kInit, 0, "about init");
  EXPECT_THAT(read("log"), AllOf(HasSubstr("about coll"), HasSubstr("TRACE about net"), Not(HasSubstr("about init"))));
}

TEST_F(LogTest, ListAfterACaretIsOffAndOthersOn) {
  logAt("INFO", "^COLL,NET");
  EXPECT_FALSE(logEnabled(LogLevel::kInfo, Subsystem::kColl));
  EXPECT_FALSE(logEnabled(LogLevel::kInfo, Subsystem::kNet));
  EXPECT_TRUE(logEnabled(LogLevel::kInfo, Subsystem::kDestroy));
  EXPECT_TRUE(logEnabled(LogLevel::kInfo, Subsystem::kInit));
}

TEST_F(LogTest, WarningsOfAllSubsystemsPrint) {
  logAt("WARN", "COLL");
  EXPECT_TRUE(logEnabled(LogLevel::kWarn, Subsystem::kDestroy));
}

TEST_F(LogTest, UnknownLevelIsAnErrorThatListsTheLevels) {
  set("SIGNCCL_DEBUG", "LOUD");
  EXPECT_THAT(usageErrorOf([&] { configure(); }),
              AllOf(HasSubstr("SIGNCCL_DEBUG=LOUD"), HasSubstr("VERSION, WARN, INFO, TRACE")));
}

TEST_F(LogTest, UnknownSubsystemIsAnErrorThatListsTheSubsystems) {
  for (const std::string list : {"COL", "INIT,COL", "^COL", "INIT,,COLL"}) {
    set("SIGNCCL_DEBUG_SUBSYS", list);
    EXPECT_THAT(usageErrorOf([&] { configure(); }),
                AllOf(HasSubstr("SIGNCCL_DEBUG_SUBSYS=" + list), HasSubstr("INIT COLL NET"), HasSubstr("ALL")));
  }
}

TEST_F(LogTest, SecretIsNotShown) {
  set("SIGNCCL_COMM_SECRET", "sesame");
  logAt("INFO");
  EXPECT_THAT(read("log"), AllOf(HasSubstr("SIGNCCL_COMM_SECRET set by the environment to '(hidden)'"),
                                 testing::Not(HasSubstr("sesame"))));
}

TEST_F(LogTest, AfterABadSettingTheLogStaysAsItWas) {
  logAt("INFO");
  set("SIGNCCL_DEBUG", "LOUD");
  usageErrorOf([&] { configure(); });
  log(LogLevel::kInfo, Subsystem::kInit, 0, "still here");
  EXPECT_THAT(read("log"), HasSubstr("still here"));
}

TEST_F(LogTest, FileThatCannotBeWrittenIsAnErrorWithItsName) {
  set("SIGNCCL_DEBUG", "INFO");
  set("SIGNCCL_DEBUG_FILE", "/proc/signccl/log");
  EXPECT_THAT(usageErrorOf([&] { configure(); }), HasSubstr("SIGNCCL_DEBUG_FILE=/proc/signccl/log"));
}

TEST_F(LogTest, FileNameHoldsHostAndProcess) {
  set("SIGNCCL_DEBUG", "WARN");
  set("SIGNCCL_DEBUG_FILE", path("log.%h.%p"));
  configure();
  log(LogLevel::kWarn, Subsystem::kInit, 0, "text");
  EXPECT_THAT(read("log." + hostName() + "." + std::to_string(getpid())), HasSubstr("WARN text"));
}

TEST_F(LogTest, FileGoesOnWhenOtherSettingsChange) {
  logAt("WARN");
  log(LogLevel::kWarn, Subsystem::kInit, 0, "before");
  set("SIGNCCL_DEBUG", "INFO");
  configure();
  EXPECT_THAT(read("log"), HasSubstr("before"));
}

TEST_F(LogTest, FileNamedWhileTheLogWasSilentIsUsedLater) {
  logAt("WARN");
  unset("SIGNCCL_DEBUG");
  set("SIGNCCL_DEBUG_FILE", path("other"));
  configure();
  set("SIGNCCL_DEBUG", "WARN");
  configure();
  log(LogLevel::kWarn, Subsystem::kInit, 0, "text");
  EXPECT_THAT(read("other"), HasSubstr("text"));
}

TEST_F(LogTest, LocalTimeStandsBeforeTheLine) {
  const auto now = [] {
    const std::time_t time = std::time(nullptr);
    std::tm parts{};
    std::array<char, 32> text{};
    const std::size_t length =
        std::strftime(text.data(), text.size(), "[%Y-%m-%d %H:%M:%S]", localtime_r(&time, &parts));
    return std::string(text.data(), length);
  };
  set("SIGNCCL_DEBUG_TIMESTAMP_FORMAT", "[%Y-%m-%d %H:%M:%S]");
  const std::string before = now();
  logAt("VERSION");
  const std::string after = now();
  const std::string line = read("log");
  const std::string shown = line.substr(0, before.size());
  EXPECT_TRUE(before <= shown && shown <= after) << shown;
  EXPECT_THAT(line.substr(before.size()), MatchesRegex(" " + hostName() + ":[0-9]+:[0-9]+ SIGNCCL VERSION [^\n]*\n"));
}

TEST_F(LogTest, UnknownTimeFormatIsAnError) {
  for (const std::string format : {"%", "%3f", "{}", "}"}) {
    set("SIGNCCL_DEBUG_TIMESTAMP_FORMAT", format);
    EXPECT_THAT(usageErrorOf([&] { configure(); }), HasSubstr("SIGNCCL_DEBUG_TIMESTAMP_FORMAT=" + format)) << format;
  }
}

TEST_F(LogTest, TextIsNoFormatString) {
  logAt("WARN");
  log(LogLevel::kWarn, Subsystem::kInit, 0, "{} %s {0}");
  EXPECT_THAT(read("log"), HasSubstr("WARN {} %s {0}\n"));
}

TEST_F(LogTest, BytesThatAreNoTextArePrintedAsTheyAre) {
  logAt("WARN");
  log(LogLevel::kWarn, Subsystem::kInit, 0, "caf\xe9 \xff{}%v");
  EXPECT_THAT(read("log"), HasSubstr("SIGNCCL WARN caf\xe9 \xff{}%v\n"));
}

TEST_F(LogTest, LinesOfManyThreadsStayWhole) {
  constexpr int kThreads = 4;
  constexpr int kLines = 200;
  logAt("INFO", "COLL");
  std::vector<std::thread> threads;
  for (int rank = 0; rank < kThreads; ++rank) {
    threads.emplace_back([this, rank] {
      configure();
      for (int i = 0; i < kLines; ++i) log(LogLevel::kInfo, Subsystem::kColl, rank, "line ", i, " of the rank");
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::istringstream lines(read("log"));
  int whole = 0;
  for (std::string line; std::getline(lines, line);) {
    whole += testing::Value(line, MatchesRegex("[^ ]+ \\[[0-3]\\] SIGNCCL INFO line [0-9]+ of the rank")) ? 1 : 0;
  }
  EXPECT_EQ(whole, kThreads * kLines);
}

}  // namespace
}  // namespace signccl
