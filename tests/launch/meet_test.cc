#include "launch/meet.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "refusal.h"
#include "variables.h"

namespace signccl::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// A port that was free a moment ago.
std::string freePort() { return std::to_string(ListeningSocket(Address{"127.0.0.1", 0}).port()); }

/// Lets two processes meet under these variables; gives what each of them throws.
std::pair<std::string, std::string> meetAsTwo(const Variables& first, const Variables& second) {
  const auto be = [](int process, const Variables& variables) {
    return refusalOf([&] {
      Party party{.place = {process, 2, "test"}, .secret = {}};
      party.join_timeout = std::chrono::milliseconds(500);
      const auto exchange = meet(party, variables);
      EXPECT_EQ(exchange->allGather(std::to_string(process)), (std::vector<std::string>{"0", "1"}));
    });
  };
  std::pair<std::string, std::string> errors;
  std::jthread other([&] { errors.second = be(1, second); });
  errors.first = be(0, first);
  other.join();
  return errors;
}

TEST(MeetTest, ProcessesMeetAtSigncclCommId) {
  const Variables variables = {{"SIGNCCL_COMM_ID", "localhost:" + freePort()}};
  EXPECT_EQ(meetAsTwo(variables, variables), std::pair(std::string(), std::string()));
}

TEST(MeetTest, ProcessesMeetAtMasterAddr) {
  const Variables variables = {{"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", freePort()}};
  EXPECT_EQ(meetAsTwo(variables, variables), std::pair(std::string(), std::string()));
}

TEST(MeetTest, TheSecretOfTheVariableIsAskedFor) {
  const std::string address = "127.0.0.1:" + freePort();
  const auto errors = meetAsTwo({{"SIGNCCL_COMM_ID", address}, {"SIGNCCL_COMM_SECRET", "a"}},
                                {{"SIGNCCL_COMM_ID", address}, {"SIGNCCL_COMM_SECRET", "b"}});
  EXPECT_THAT(errors.second, HasSubstr("SIGNCCL_COMM_SECRET"));
}

TEST(MeetTest, WithoutAMeetingPointTheErrorSaysWhatToSet) {
  EXPECT_THAT(refusalOf([] { meet({.place = {1, 4, "Slurm"}, .secret = {}}, Variables{}); }),
              AllOf(HasSubstr("process 1 of 4 (from Slurm)"), HasSubstr("SIGNCCL_COMM_ID=host:port"),
                    HasSubstr("MASTER_ADDR")));
}

TEST(MakeSecretTest, SecretsDiffer) {
  EXPECT_EQ(makeSecret().size(), 32U);
  EXPECT_NE(makeSecret(), makeSecret());
}

}  // namespace
}  // namespace signccl::launch
