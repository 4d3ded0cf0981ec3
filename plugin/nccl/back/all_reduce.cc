// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/all_reduce.h"

#include <cstdint>
#include <optional>

#include "nccl/back/failure.h"
#include "nccl/back/inside.h"
#include "rules/sign_config.h"

namespace signccl::nccl_preload {
namespace {

std::optional<rules::ElementType> elementTypeOf(DataType type) {
  switch (type) {
    case DataType::kInt8:
      return rules::ElementType::kInt8;
    case DataType::kFloat16:
      return rules::ElementType::kFloat16;
    case DataType::kFloat32:
      return rules::ElementType::kFloat32;
    case DataType::kFloat64:
      return rules::ElementType::kFloat64;
    case DataType::kBfloat16:
      return rules::ElementType::kBfloat16;
    case DataType::kUint64:
      break;
  }
  return std::nullopt;
}

std::optional<rules::ReduceOp> reduceOpOf(RedOp op) {
  if (op == RedOp::kSum) return rules::ReduceOp::kSum;
  if (op == RedOp::kAvg) return rules::ReduceOp::kAvg;
  return std::nullopt;
}

}  // namespace

rules::Call describe(const AllReduce& call) {
  rules::Call described;
  described.type = elementTypeOf(call.type);
  described.op = reduceOpOf(call.op);
  described.count = call.count;
  return described;
}

Stream streamOf(const AllReduce& call) {
  const auto legacy = reinterpret_cast<Stream>(std::uintptr_t{1});  // CU_STREAM_LEGACY, which null means to NCCL
  return call.stream == nullptr ? legacy : call.stream;
}

Result forward(const RealNccl& nccl, const AllReduce& call) {
  const InsideNccl inside;
  if (call.has_config) {
    return callReal(nccl.ncclAllReduceConfig, call.send, call.recv, call.count, call.type, call.op, call.comm,
                    call.stream, call.config);
  }
  return callReal(nccl.ncclAllReduce, call.send, call.recv, call.count, call.type, call.op, call.comm, call.stream);
}

void carryOut(const TakenCall& call) {
  const signcclSignConfig_t config = rules::signConfigOf(call.zero, call.tie);
  const AllReduce& arguments = call.arguments;
  const auto type = static_cast<signcclDataType_t>(arguments.type);
  const InsideNccl inside;
  if (call.action == rules::Action::kSignSum) {
    // Without an outcome: the rule trusts the values, and the host does not wait.
    return expectSigncclSuccess(signcclAllReduceSum(arguments.send, arguments.recv, arguments.count, type, &config,
                                                    call.mirror->get(), streamOf(arguments), nullptr),
                                "a sum taken from NCCL");
  }
  const auto collective = call.action == rules::Action::kVote ? signcclAllReduceVote : signcclAllReduceAvg;
  expectSigncclSuccess(collective(arguments.send, arguments.recv, arguments.count, type, type, &config,
                                  call.mirror->get(), streamOf(arguments)),
                       "an all-reduce taken from NCCL");
}

}  // namespace signccl::nccl_preload
