// SPDX-License-Identifier: Apache-2.0
#include "sign_group.h"

#include <stdexcept>
#include <string>

namespace digits {
namespace {

void check(signcclResult_t result, const char* call) {
  if (result == signcclSuccess) return;
  throw std::runtime_error(std::string(call) + ": " + signcclGetLastError(nullptr));
}

}  // namespace

SignGroup::SignGroup(int nranks, const signcclUniqueId& id, int rank, const std::string& algorithm) {
  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  if (!algorithm.empty()) config.algorithm = algorithm.c_str();
  check(signcclCommInitRankConfig(&comm_, nranks, id, rank, &config), "signcclCommInitRankConfig");
}

SignGroup::~SignGroup() { signcclCommDestroy(comm_); }

void SignGroup::vote(std::span<float> values, const signcclSignConfig_t& rules) {
  check(signcclAllReduceVote(values.data(), values.data(), values.size(), signcclFloat32, signcclFloat32, &rules, comm_,
                             nullptr),
        "signcclAllReduceVote");
}

void SignGroup::average(std::span<float> values, const signcclSignConfig_t& rules) {
  check(signcclAllReduceAvg(values.data(), values.data(), values.size(), signcclFloat32, signcclFloat32, &rules, comm_,
                            nullptr),
        "signcclAllReduceAvg");
}

std::uint64_t SignGroup::bytesSent() const {
  signcclCommStats_t stats{};
  stats.size = sizeof(stats);
  check(signcclCommGetStats(comm_, &stats), "signcclCommGetStats");
  return stats.bytesSent;
}

void SignGroup::abort() noexcept { signcclCommAbort(comm_); }

}  // namespace digits
