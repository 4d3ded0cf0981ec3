#include "transport/ucx/ucx_transport.h"

#include <cstring>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "support/caught.h"
#include "transport/transport_contract.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;

std::vector<std::unique_ptr<Transport>> makeUcx(int nranks) {
  const std::shared_ptr<UcxContext> context = UcxContext::open("");
  std::vector<std::unique_ptr<UcxTransport>> made;
  std::vector<std::string> addresses;
  for (Rank rank = 0; rank < nranks; ++rank) {
    made.push_back(std::make_unique<UcxTransport>(context, rank, nranks));
    addresses.push_back(made.back()->address());
  }
  std::vector<std::unique_ptr<Transport>> transports;
  for (auto& transport : made) {
    transport->setAddresses(addresses);
    transports.push_back(std::move(transport));
  }
  return transports;
}

INSTANTIATE_TEST_SUITE_P(Ucx, TransportContractTest, ::testing::Values(TransportMaker{"ucx", makeUcx}));

}  // namespace
}  // namespace signccl
