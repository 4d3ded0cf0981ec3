// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/element_types.h"

#include <algorithm>
#include <array>
#include <limits>

namespace signccl::perf {
namespace {

constexpr std::array kSendTypes = {signcclFloat32, signcclFloat16, signcclBfloat16,
                                   signcclFloat64, signcclInt8,    signcclBits};
constexpr std::array kRecvTypes = {signcclFloat32, signcclFloat16, signcclBfloat16, signcclFloat64,
                                   signcclInt8,    signcclInt16,   signcclInt32,    signcclBits};

/// Ranks up to which a type holds every sum of signs exactly; 0 if it holds none.
int mostRanksOfSum(signcclDataType_t type) {
  switch (type) {
    case signcclInt8:
      return 127;
    case signcclBfloat16:
      return 256;
    case signcclFloat16:
      return 2048;
    case signcclFloat32:
    case signcclFloat64:
      return std::numeric_limits<int>::max();
    case signcclInt16:
    case signcclInt32:
    case signcclBits:
      return 0;
  }
  return 0;
}

std::string whyNoSum(signcclDataType_t type, int nranks) {
  const int most = mostRanksOfSum(type);
  if (nranks <= most) return {};
  if (most == 0) return "a sum has the type of its input, which is int8, half, bfloat16, float or double";
  return std::string(typeName(type)) + " holds sums of at most " + std::to_string(most) + " ranks";
}

}  // namespace

std::span<const signcclDataType_t> sendTypes() { return kSendTypes; }
std::span<const signcclDataType_t> recvTypes() { return kRecvTypes; }

const char* typeName(signcclDataType_t type) {
  switch (type) {
    case signcclInt8:
      return "int8";
    case signcclInt16:
      return "int16";
    case signcclInt32:
      return "int32";
    case signcclFloat16:
      return "half";
    case signcclFloat32:
      return "float";
    case signcclFloat64:
      return "double";
    case signcclBfloat16:
      return "bfloat16";
    case signcclBits:
      return "bits";
  }
  return "unknown";
}

const char* opName(SignOp op) {
  switch (op) {
    case SignOp::kVote:
      return "vote";
    case SignOp::kAvg:
      return "avg";
    case SignOp::kSum:
      return "sum";
  }
  return "unknown";
}

const char* zeroRuleName(signcclZeroRule_t rule) { return rule == signcclZeroBinary ? "binary" : "ternary"; }

const char* misfitRuleName(signcclMisfitRule_t rule) { return rule == signcclMisfitKeep ? "keep" : "discard"; }

const char* tieRuleName(signcclTieRule_t rule) {
  switch (rule) {
    case signcclTieZero:
      return "zero";
    case signcclTiePositive:
      return "positive";
    case signcclTieNegative:
      return "negative";
    case signcclTieRandom:
      return "random";
  }
  return "unknown";
}

std::optional<signcclDataType_t> typeNamed(std::string_view name, std::span<const signcclDataType_t> types) {
  const auto found = std::find_if(types.begin(), types.end(), [&](auto type) { return name == typeName(type); });
  return found == types.end() ? std::nullopt : std::optional(*found);
}

std::size_t bitsPerElement(signcclDataType_t type) {
  switch (type) {
    case signcclBits:
      return 1;
    case signcclInt8:
      return 8;
    case signcclInt16:
    case signcclFloat16:
    case signcclBfloat16:
      return 16;
    case signcclInt32:
    case signcclFloat32:
      return 32;
    case signcclFloat64:
      return 64;
  }
  return 0;
}

std::size_t payloadBytes(signcclDataType_t type, std::size_t count) {
  return type == signcclBits ? (count + 7) / 8 : count * (bitsPerElement(type) / 8);
}

std::size_t bufferBytes(signcclDataType_t type, std::size_t count) {
  return type == signcclBits ? (count + 63) / 64 * 8 : payloadBytes(type, count);
}

std::size_t countFor(signcclDataType_t type, std::size_t bytes) {
  return type == signcclBits ? bytes * 8 : bytes / (bitsPerElement(type) / 8);
}

std::string whyNotRecvType(SignOp op, signcclDataType_t recvtype, signcclTieRule_t tie_rule, int nranks) {
  if (op == SignOp::kVote) {
    if (recvtype == signcclInt16 || recvtype == signcclInt32) return "sums are results of avg, a vote is -1, 0 or 1";
    if (recvtype == signcclBits && tie_rule == signcclTieZero) return "a bit cannot hold the 0 of tie rule zero";
    return {};
  }
  if (op == SignOp::kSum) return whyNoSum(recvtype, nranks);
  if (recvtype == signcclBits) return "a bit cannot hold a mean";
  if (recvtype == signcclInt8 && nranks > 127) return "int8 holds sums of at most 127 ranks";
  return {};
}

signcclDataType_t defaultRecvType(SignOp op, signcclDataType_t sendtype, signcclTieRule_t tie_rule, int nranks) {
  if (whyNotRecvType(op, sendtype, tie_rule, nranks).empty()) return sendtype;
  return sendtype == signcclInt8 ? signcclInt16 : signcclFloat32;
}

}  // namespace signccl::perf
