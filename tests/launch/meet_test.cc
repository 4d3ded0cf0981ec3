// SPDX-License-Identifier: Apache-2.0
#include "launch/meet.h"

#include <cstdlib>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "refusal.h"
#include "variables.h"

namespace signccl::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string pointOf(const Variables& variables) { return meetingPoint(variables).value_or("none"); }

TEST(MeetingPointTest, SigncclCommIdGoesBeforeMasterAddr) {
  EXPECT_EQ(pointOf({}), "none");
  EXPECT_EQ(pointOf({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "5"}}), "a:5");
  EXPECT_EQ(pointOf({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "5"}, {"SIGNCCL_COMM_ID", "b:6"}}), "b:6");
  EXPECT_EQ(pointOf({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "5"}, {"SIGNCCL_COMM_ID", ""}}), "a:5");
}

TEST(MeetingPointTest, AnAddressOfVersionSixGetsItsBrackets) {
  EXPECT_EQ(pointOf({{"MASTER_ADDR", "fd00::2"}, {"MASTER_PORT", "5"}}), "[fd00::2]:5");
  EXPECT_EQ(pointOf({{"MASTER_ADDR", "[fd00::2]"}, {"MASTER_PORT", "5"}}), "[fd00::2]:5");
}

TEST(MeetingPointTest, ThePortAfterThatOfTorchrunsAgentIsUsed) {
  EXPECT_EQ(pointOf({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "5"}, {"TORCHELASTIC_USE_AGENT_STORE", "True"}}), "a:6");
  EXPECT_EQ(pointOf({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "5"}, {"TORCHELASTIC_USE_AGENT_STORE", "False"}}), "a:5");
}

TEST(MeetingPointTest, HalfAnAddressIsNamed) {
  EXPECT_THAT(refusalOf([] { pointOf({{"MASTER_ADDR", "a"}}); }), HasSubstr("MASTER_PORT is not set"));
  EXPECT_THAT(refusalOf([] { pointOf({{"MASTER_PORT", "5"}}); }), HasSubstr("MASTER_ADDR is not set"));
  EXPECT_THAT(refusalOf([] { pointOf({{"MASTER_ADDR", ""}, {"MASTER_PORT", "5"}}); }),
              HasSubstr("MASTER_ADDR is empty"));
  for (const char* port : {"x", "0", "65536", "5x", ""}) {
    EXPECT_THAT(refusalOf([&] { pointOf({{"MASTER_ADDR", "a"}, {"MASTER_PORT", port}}); }),
                HasSubstr("MASTER_PORT is '" + std::string(port) + "', expected a number of 1 to 65535"));
  }
  EXPECT_THAT(refusalOf([] {
                pointOf({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "65535"}, {"TORCHELASTIC_USE_AGENT_STORE", "1"}});
              }),
              HasSubstr("65534"));
}

TEST(MeetTest, WithoutAMeetingPointTheErrorSaysWhatToSet) {
  EXPECT_THAT(refusalOf([] { meet({1, 4, "Slurm"}, Variables{}); }),
              AllOf(HasSubstr("process 1 of 4 (from Slurm)"), HasSubstr("SIGNCCL_COMM_ID=host:port"),
                    HasSubstr("MASTER_ADDR")));
}

/// A port that somebody listens at.
class TakenPort {
 public:
  TakenPort() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(socket_, 1), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    number_ = ntohs(address.sin_port);
  }
  ~TakenPort() { close(socket_); }
  TakenPort(const TakenPort&) = delete;
  TakenPort& operator=(const TakenPort&) = delete;

  [[nodiscard]] int number() const { return number_; }

 private:
  const int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int number_ = 0;
};

TEST(MeetTest, APortThatIsTakenIsExplained) {
  const TakenPort port;
  const auto refusal = [&](int master_port, const char* agent_listens) {
    return refusalOf([&] {
      meet({0, 2, "torchrun"}, Variables{{"MASTER_ADDR", "127.0.0.1"},
                                         {"MASTER_PORT", std::to_string(master_port)},
                                         {"TORCHELASTIC_USE_AGENT_STORE", agent_listens}});
    });
  };
  const std::string taken = "cannot listen at 127.0.0.1:" + std::to_string(port.number()) + ": Address already in use";
  EXPECT_THAT(refusal(port.number(), "False"), AllOf(HasSubstr(taken), HasSubstr(" (the port is MASTER_PORT)")));
  EXPECT_THAT(refusal(port.number() - 1, "True"),
              AllOf(HasSubstr(taken),
                    HasSubstr(" (the port is MASTER_PORT + 1, since torchrun itself listens at MASTER_PORT=" +
                              std::to_string(port.number() - 1) + "; a second torchrun"),
                    HasSubstr("SIGNCCL_COMM_ID=host:port")));
  EXPECT_EQ(std::getenv("SIGNCCL_COMM_ID"), nullptr);
}

TEST(MeetTest, APortThatTheUserNamedIsNotExplained) {
  const TakenPort port;
  const std::string point = "127.0.0.1:" + std::to_string(port.number());
  EXPECT_THAT(refusalOf([&] { meet({0, 2, "test"}, Variables{{"SIGNCCL_COMM_ID", point}}); }),
              AllOf(HasSubstr("Address already in use"), testing::Not(HasSubstr("MASTER_PORT"))));
}

TEST(MeetTest, AnAddressThatIsNoneIsNamedWithItsVariable) {
  EXPECT_THAT(refusalOf([] { meet({0, 2, "test"}, Variables{{"SIGNCCL_COMM_ID", "nowhere"}}); }),
              AllOf(HasSubstr("SIGNCCL_COMM_ID"), HasSubstr("nowhere")));
}

}  // namespace
}  // namespace signccl::launch
