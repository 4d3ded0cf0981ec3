// SPDX-License-Identifier: Apache-2.0
#include "transport/ucx/ucx_transport.h"

#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "support/caught.h"
#include "transport/transport_contract.h"
#include "transport/ucx/tcp_context.h"
#include "transport/ucx/ucx_channels.h"

namespace signccl {
namespace {

/// The tests of this program run with the UCX of SIGNCCL_UCX_LIBRARY, whoever uses it first.
class UcxOfTheSetting : public testing::Environment {
  void SetUp() override {
    const char* const wanted = std::getenv("SIGNCCL_UCX_LIBRARY");
    ucxLibrary(wanted == nullptr ? "" : wanted);
  }
};
[[maybe_unused]] const testing::Environment* const ucx_of_the_setting =
    testing::AddGlobalTestEnvironment(new UcxOfTheSetting);

using namespace std::chrono_literals;

/// Connects what `make(rank)` gives.
template <typename Make>
std::vector<std::unique_ptr<Transport>> connected(int nranks, const Make& make) {
  std::vector<std::unique_ptr<ProcessTransport>> made;
  std::vector<std::string> addresses;
  for (Rank rank = 0; rank < nranks; ++rank) {
    made.push_back(make(rank));
    addresses.push_back(made.back()->address());
  }
  std::vector<std::unique_ptr<Transport>> transports;
  for (auto& transport : made) {
    transport->setAddresses(addresses);
    transports.push_back(std::move(transport));
  }
  return transports;
}

std::vector<std::unique_ptr<Transport>> makeUcx(int nranks) {
  return connected(nranks, [&](Rank rank) { return makeProcessTransport({}, rank, nranks); });
}

std::vector<std::unique_ptr<Transport>> makeTcp(int nranks) {
  return connected(nranks, [&](Rank rank) { return std::make_unique<UcxTransport>(tcpContext(), rank, nranks); });
}

std::vector<std::unique_ptr<Transport>> makeChannels(int nranks) {
  return connected(nranks, [&](Rank rank) {
    return std::make_unique<UcxChannels>(tcpContext(), rank, nranks, ProcessTransportOptions{.nchannels = 3});
  });
}

INSTANTIATE_TEST_SUITE_P(Ucx, TransportContractTest,
                         ::testing::Values(TransportMaker{"ucx", makeUcx}, TransportMaker{"tcp", makeTcp},
                                           TransportMaker{"channels", makeChannels}),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(UcxChannelsTest, AddressOfAnotherNumberOfChannelsIsRefused) {
  const auto two = makeProcessTransport({.net_devices = "", .ucx_library = "", .nchannels = 2}, 0, 2);
  const auto three = makeProcessTransport({.net_devices = "", .ucx_library = "", .nchannels = 3}, 1, 2);
  const Caught error = caught([&] { two->setAddresses({two->address(), three->address()}); });
  EXPECT_EQ(error.code, signcclInternalError);
  EXPECT_EQ(error.message, "the address of rank 1, of " + std::to_string(three->address().size()) +
                               " bytes, is not that of 2 channels");
  for (const std::size_t size : {std::size_t{3}, two->address().size() - 1}) {
    const Caught cut = caught([&] { two->setAddresses({two->address(), two->address().substr(0, size)}); });
    EXPECT_EQ(cut.code, signcclInternalError);
  }
}

}  // namespace
}  // namespace signccl
