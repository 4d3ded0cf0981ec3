#include "launch/meet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(MeetTest, AnAddressThatIsNoneIsNamedWithItsVariable) {
  EXPECT_THAT(refusalOf([] { meet({0, 2, "test"}, Variables{{"SIGNCCL_COMM_ID", "nowhere"}}); }),
              AllOf(HasSubstr("SIGNCCL_COMM_ID"), HasSubstr("nowhere")));
}

}  // namespace
}  // namespace signccl::launch
