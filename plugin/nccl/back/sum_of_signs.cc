// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/sum_of_signs.h"

#include <memory>
#include <optional>

#include "nccl/back/device_memory.h"
#include "nccl/back/failure.h"
#include "nccl/back/introduce.h"
#include "nccl/back/own_stream.h"
#include "rules/sign_config.h"

namespace signccl::nccl_preload {
namespace {

std::size_t bytesOf(const AllReduce& call) { return call.count * rules::sizeOf(*describe(call).type); }

/// What this rank learnt of an exchange.
struct Exchange {
  signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
  std::string refused;  ///< why this rank's buffers could not be taken; empty if they were
};

/// Whether an error is one of the arguments alone: nothing has been exchanged, and the communicator still serves.
bool isRefusal(signcclResult_t result, signcclComm_t comm) {
  signcclResult_t state = signcclSuccess;
  return result == signcclInvalidArgument && signcclCommGetAsyncError(comm, &state) == signcclSuccess &&
         (state == signcclSuccess || state == signcclInProgress);
}

/// Takes this rank's part in the exchange with values that are no signs, so that the call falls back on all ranks.
void decline(const RealNccl& nccl, const TakenCall& call, const signcclSignConfig_t& config, Exchange& exchange) {
  constexpr unsigned char kByteOfNoSign = 2;  // in each type
  const int device = deviceOf(nccl, call.arguments.comm);
  const DeviceMemory elements(device, bytesOf(call.arguments));
  const OwnStream stream(device);
  {
    const DeviceScope scope(device);
    expectCudaSuccess(cuda().cuMemsetD8Async(elements.address(), kByteOfNoSign, elements.bytes(), stream.get()),
                      "cuMemsetD8Async");
  }
  expectSigncclSuccess(signcclAllReduceSum(elements.pointer(), elements.pointer(), call.arguments.count,
                                           static_cast<signcclDataType_t>(call.arguments.type), &config,
                                           call.mirror->get(), stream.get(), &exchange.outcome),
                       "a sum taken from NCCL");
  // They are those of the values above.
  exchange.outcome.firstIndex = -1;
  exchange.outcome.firstValue = 0;
}

/// Sums into `recv`, or says why not.
Exchange exchangeSum(const RealNccl& nccl, const TakenCall& call, void* recv, const signcclSignConfig_t& config) {
  const AllReduce& arguments = call.arguments;
  const signcclComm_t comm = call.mirror->get();
  Exchange exchange;
  const signcclResult_t result =
      signcclAllReduceSum(arguments.send, recv, arguments.count, static_cast<signcclDataType_t>(arguments.type),
                          &config, comm, streamOf(arguments), &exchange.outcome);
  if (isRefusal(result, comm)) {
    exchange.refused = signcclGetLastError(nullptr);
    decline(nccl, call, config, exchange);
  } else {
    expectSigncclSuccess(result, "a sum taken from NCCL");
  }
  return exchange;
}

/// The values are known to be signs, and in place the sum of them must not be written before the mean is there.
void writeMean(const TakenCall& call, const signcclSignConfig_t& config) {
  const AllReduce& arguments = call.arguments;
  const auto type = static_cast<signcclDataType_t>(arguments.type);
  expectSigncclSuccess(signcclAllReduceAvg(arguments.send, arguments.recv, arguments.count, type, type, &config,
                                           call.mirror->get(), streamOf(arguments)),
                       "a mean taken from NCCL");
}

SumAttempt attempt(const RealNccl& nccl, const TakenCall& call, const rules::Rule& rule) {
  const AllReduce& arguments = call.arguments;
  rules::Takeover& takeover = call.mirror->takeover();
  std::optional<rules::ZeroRule> zero = takeover.next(call.rule_index, rule, arguments.count);
  if (!zero) return {SumAttempt::Result::kOnProbation, {}};
  const bool is_mean = arguments.op == RedOp::kAvg;
  void* const recv =
      is_mean ? call.mirror->scratch(deviceOf(nccl, arguments.comm), bytesOf(arguments)) : arguments.recv;
  for (;;) {
    const signcclSignConfig_t config = rules::signConfigOf(*zero, call.tie);
    const auto [outcome, refused] = exchangeSum(nccl, call, recv, config);
    const auto values = static_cast<rules::Values>(outcome.values);  // the enumerators are those of signcclValues_t
    switch (takeover.agreed(call.rule_index, rule, arguments.count, *zero, values)) {
      case rules::Verdict::kTaken:
        if (is_mean) writeMean(call, config);
        return {};
      case rules::Verdict::kAgain:
        zero = rules::ZeroRule::kTernary;
        break;
      case rules::Verdict::kFallBack:
        return {SumAttempt::Result::kFellBack, {values, outcome.firstIndex, outcome.firstValue, 0, refused}};
    }
  }
}

}  // namespace

SumAttempt sumOfSigns(const RealNccl& nccl, const TakenCall& call, const rules::Rule& rule) {
  try {
    return attempt(nccl, call, rule);
  } catch (const Failure& failure) {
    // The other ranks may be in the exchange, and would wait for this one.
    signcclCommAbortWithReason(call.mirror->get(), failure.what());
    throw;
  }
}

}  // namespace signccl::nccl_preload
