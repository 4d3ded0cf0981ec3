#include "launch/address.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "refusal.h"
#include "variables.h"

namespace signccl::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(AddressTest, NamesAndBothFamiliesAreRead) {
  EXPECT_EQ(parseAddress("X", "node7:1234").host, "node7");
  EXPECT_EQ(parseAddress("X", "10.0.0.1:65535").port, 65535);
  EXPECT_EQ(parseAddress("X", "[::1]:80").host, "::1");
}

TEST(AddressTest, TextIsTheReverse) {
  for (const char* text : {"node7:1234", "10.0.0.1:5", "[fd00::2]:80"})
    EXPECT_EQ(toText(parseAddress("X", text)), text);
}

TEST(AddressTest, OtherTextsAreNamedWithTheVariable) {
  for (const char* text :
       {"", "node", "node:", ":80", "node:0", "node:65536", "node:8o", "::1:80", "[]:80", "node:-1"}) {
    EXPECT_THAT(refusalOf([&] { parseAddress("SIGNCCL_COMM_ID", text); }),
                AllOf(HasSubstr("SIGNCCL_COMM_ID is '" + std::string(text) + "'"), HasSubstr("expected host:port")));
  }
}

std::string addressText(const Variables& variables) {
  const auto address = addressFromVariables(variables);
  return address ? toText(*address) : "none";
}

TEST(AddressFromVariablesTest, SigncclCommIdGoesBeforeMasterAddr) {
  EXPECT_EQ(addressText({}), "none");
  EXPECT_EQ(addressText({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "5"}}), "a:5");
  EXPECT_EQ(addressText({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "5"}, {"SIGNCCL_COMM_ID", "b:6"}}), "b:6");
}

TEST(AddressFromVariablesTest, ThePortAfterThatOfTorchrunsAgentIsUsed) {
  EXPECT_EQ(addressText({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "5"}, {"TORCHELASTIC_USE_AGENT_STORE", "True"}}), "a:6");
  EXPECT_EQ(addressText({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "5"}, {"TORCHELASTIC_USE_AGENT_STORE", "False"}}),
            "a:5");
}

TEST(AddressFromVariablesTest, HalfAnAddressIsNamed) {
  EXPECT_THAT(refusalOf([] { addressText({{"MASTER_ADDR", "a"}}); }), HasSubstr("MASTER_PORT is not set"));
  EXPECT_THAT(refusalOf([] { addressText({{"MASTER_PORT", "5"}}); }), HasSubstr("MASTER_ADDR is not set"));
  EXPECT_THAT(refusalOf([] { addressText({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "x"}}); }),
              HasSubstr("MASTER_PORT is 'x', expected a number of 1 to 65535"));
  EXPECT_THAT(refusalOf([] {
                addressText({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "65535"}, {"TORCHELASTIC_USE_AGENT_STORE", "1"}});
              }),
              HasSubstr("65534"));
}

TEST(HostAddressesTest, ALoopbackIsNeverNamedBesideOthers) {
  const auto addresses = hostAddresses();
  ASSERT_FALSE(addresses.empty());
  const auto is_loopback = [](const std::string& one) { return one.starts_with("127.") || one == "::1"; };
  const auto nloopbacks = static_cast<std::size_t>(std::ranges::count_if(addresses, is_loopback));
  EXPECT_TRUE(nloopbacks == 0 || nloopbacks == addresses.size()) << addresses.front();
}

}  // namespace
}  // namespace signccl::launch
