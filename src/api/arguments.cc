// SPDX-License-Identifier: Apache-2.0
#include "api/arguments.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/versioned_struct.h"
#include "exec/mean_table.h"
#include "kernels/names.h"

namespace signccl {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(signcclInvalidArgument, what); }

[[noreturn]] void refuseNull(const char* buffer, std::size_t count) {
  refuse(std::string(buffer) + " is NULL and count is " + std::to_string(count));
}

std::optional<ElementType> toElementType(int type) {
  switch (type) {
    case signcclInt8:
      return ElementType::kInt8;
    case signcclInt32:
      return ElementType::kInt32;
    case signcclFloat16:
      return ElementType::kFloat16;
    case signcclFloat32:
      return ElementType::kFloat32;
    case signcclFloat64:
      return ElementType::kFloat64;
    case signcclBfloat16:
      return ElementType::kBFloat16;
    case signcclInt16:
      return ElementType::kInt16;
    case signcclBits:
      return ElementType::kBits;
    default:
      return std::nullopt;
  }
}

bool isSumOnly(ElementType type) { return type == ElementType::kInt16 || type == ElementType::kInt32; }

ElementType checkSendType(int type) {
  const auto known = toElementType(type);
  if (!known) refuse("sendtype is " + std::to_string(type) + ", expected a signcclDataType_t");
  if (isSumOnly(*known)) {
    refuse(std::string("sendtype is ") + elementTypeName(*known) +
           ", expected float32, float16, bfloat16, float64, int8 or bits");
  }
  return *known;
}

void checkVoteRecvType(ElementType type, TieRule tie) {
  if (isSumOnly(type)) {
    refuse(std::string("recvtype is ") + elementTypeName(type) +
           ", expected float32, float16, bfloat16, float64, int8 or bits for a vote");
  }
  if (type == ElementType::kBits && tie == TieRule::kZero) {
    refuse("recvtype is bits, which cannot hold the 0 of tie rule zero; expected another recvtype or tie rule");
  }
}

void checkAvgRecvType(ElementType type, int nranks) {
  const auto must_hold = [&](int max) {
    if (nranks <= max) return;
    refuse(std::string("recvtype is ") + elementTypeName(type) + ", which cannot hold a sum of " +
           std::to_string(nranks) + " signs; at most " + std::to_string(max) + " ranks");
  };
  if (type == ElementType::kBits) {
    refuse("recvtype is bits, expected float32, float16, bfloat16, float64, int8, int16 or int32 for an average");
  }
  if (type == ElementType::kInt8) must_hold(std::numeric_limits<std::int8_t>::max());
  if (type == ElementType::kInt16) must_hold(std::numeric_limits<std::int16_t>::max());
}

ElementType checkSumType(int type, int nranks) {
  const auto known = toElementType(type);
  if (!known || *known == ElementType::kBits || isSumOnly(*known)) {
    refuse("datatype is " + (known ? elementTypeName(*known) : std::to_string(type)) +
           ", expected float32, float16, bfloat16, float64 or int8 for a sum");
  }
  if (nranks > mostExactRanks(*known)) {
    refuse(std::string("datatype is ") + elementTypeName(*known) + ", which does not hold all sums of " +
           std::to_string(nranks) + " ranks exactly; at most " + std::to_string(mostExactRanks(*known)) + " ranks");
  }
  return *known;
}

/// Bytes of a buffer. No object is larger than PTRDIFF_MAX, so a larger one is a mistake too.
std::size_t checkBytes(const char* name, ElementType type, std::size_t count) {
  std::ptrdiff_t bytes_of_words = 0;
  if (__builtin_mul_overflow(count / kWordBits + 1, elementBytes(type, kWordBits), &bytes_of_words)) {
    refuse("count is " + std::to_string(count) + ": " + name + " of " + elementTypeName(type) +
           " would be larger than memory can be");
  }
  return elementBytes(type, count);
}

void checkBuffers(const CollectiveArguments& arguments, ElementType sendtype, ElementType recvtype) {
  const std::size_t send_bytes = checkBytes("sendbuff", sendtype, arguments.count);
  const std::size_t recv_bytes = checkBytes("recvbuff", recvtype, arguments.count);
  if (arguments.count == 0) return;
  if (arguments.sendbuff == nullptr) refuseNull("sendbuff", arguments.count);
  if (arguments.recvbuff == nullptr) refuseNull("recvbuff", arguments.count);
  const auto* send = static_cast<const std::byte*>(arguments.sendbuff);
  const auto* recv = static_cast<const std::byte*>(arguments.recvbuff);
  const std::less<const std::byte*> before;
  if (send != recv && before(send, recv + recv_bytes) && before(recv, send + send_bytes)) {
    const std::ptrdiff_t offset = recv - send;
    refuse("sendbuff and recvbuff overlap partly: recvbuff begins " + std::to_string(offset) +
           " bytes after sendbuff, of " + std::to_string(send_bytes) + " and " + std::to_string(recv_bytes) +
           " bytes; expected equal or disjoint buffers");
  }
}

StreamPlace placeOf(const CollectiveArguments& arguments, ElementType sendtype, ElementType recvtype) {
  const UserBuffer buffers[] = {
      {"sendbuff", arguments.sendbuff, elementBytes(sendtype, arguments.count), elementBytes(sendtype, 1)},
      {"recvbuff", arguments.recvbuff, elementBytes(recvtype, arguments.count), elementBytes(recvtype, 1)}};
  return streamPlaceOf(buffers, arguments.stream);
}

/// Those of a vote or an average.
void checkTypes(const CollectiveArguments& arguments, const ExchangeRules& rules, int nranks, ElementType& sendtype,
                ElementType& recvtype) {
  sendtype = checkSendType(arguments.sendtype);
  const auto known = toElementType(arguments.recvtype);
  if (!known) refuse("recvtype is " + std::to_string(arguments.recvtype) + ", expected a signcclDataType_t");
  recvtype = *known;
  if (arguments.op == SignOp::kVote) {
    checkVoteRecvType(recvtype, rules.tie);
  } else {
    checkAvgRecvType(recvtype, nranks);
  }
}

/// ExchangeRules::discards_misfits from the field of a config.
bool discardsMisfits(int misfit_rule) {
  switch (misfit_rule) {
    case SIGNCCL_CONFIG_UNDEF_INT:
    case signcclMisfitKeep:
      return false;
    case signcclMisfitDiscard:
      return true;
    default:
      refuse("config->misfitRule is " + std::to_string(misfit_rule) + ", expected 0 (keep) or 1 (discard)");
  }
}

/// Rules of a collective; those of sums alone are checked for all, and count for sums.
ExchangeRules rulesOf(SignOp op, const signcclSignConfig_t& config) {
  ExchangeRules rules = checkRules(op, config.zeroRule, config.tieRule);
  const bool discards = discardsMisfits(config.misfitRule);
  rules.discards_misfits = discards && op == SignOp::kSum;
  checkReserved(config.reserved);
  return rules;
}

/// What a sum has beyond other collectives.
SumCall checkSum(const CollectiveArguments& arguments, const CheckedCollective& checked, ElementType type) {
  if (arguments.outcome != nullptr)
    checkVersionedSize(arguments.outcome->size, VersionedStruct<signcclSumOutcome_t>::kInfo, "outcome");
  return {.outcome = arguments.outcome,
          .type = type,
          .sendbuff = arguments.sendbuff,
          .count = arguments.count,
          .votes_per_rank = checked.rules.votes_per_rank,
          .place = checked.place,
          .discards_misfits = checked.rules.discards_misfits,
          .is_in_place = arguments.sendbuff == arguments.recvbuff};
}

}  // namespace

ExchangeRules checkRules(SignOp op, int zero_rule, int tie_rule) {
  ExchangeRules rules{op, 1, TieRule::kRandom};
  switch (zero_rule) {
    case SIGNCCL_CONFIG_UNDEF_INT:
    case signcclZeroBinary:
      break;
    case signcclZeroTernary:
      rules.votes_per_rank = 2;
      break;
    default:
      refuse("config->zeroRule is " + std::to_string(zero_rule) + ", expected 0 (binary) or 1 (ternary)");
  }
  TieRule tie = TieRule::kRandom;
  switch (tie_rule) {
    case signcclTieZero:
      tie = TieRule::kZero;
      break;
    case signcclTiePositive:
      tie = TieRule::kPositive;
      break;
    case signcclTieNegative:
      tie = TieRule::kNegative;
      break;
    case SIGNCCL_CONFIG_UNDEF_INT:
    case signcclTieRandom:
      break;
    default:
      refuse("config->tieRule is " + std::to_string(tie_rule) +
             ", expected 0 (zero), 1 (positive), 2 (negative) or 3 (random)");
  }
  if (op == SignOp::kVote) rules.tie = tie;
  return rules;
}

void checkReserved(int reserved) {
  if (reserved != SIGNCCL_CONFIG_UNDEF_INT && reserved != 0) {
    refuse("config->reserved is set: leave it as the initializer does");
  }
}

CheckedCollective checkCollective(const CollectiveArguments& arguments, int nranks) {
  CheckedCollective checked;
  if (arguments.config != nullptr) {
    checked.rules = rulesOf(arguments.op, readVersioned(arguments.config, "config"));
  } else {
    checked.rules.op = arguments.op;
  }
  ElementType sendtype = ElementType::kFloat32;
  ElementType recvtype = ElementType::kFloat32;
  if (arguments.op == SignOp::kSum) {
    sendtype = recvtype = checkSumType(arguments.sendtype, nranks);
  } else {
    checkTypes(arguments, checked.rules, nranks, sendtype, recvtype);
  }
  checkBuffers(arguments, sendtype, recvtype);
  if (!isSurelyOnHost(arguments.stream)) checked.place = placeOf(arguments, sendtype, recvtype);
  if (arguments.op == SignOp::kSum) checked.sum = checkSum(arguments, checked, sendtype);
  checked.segment.source = elementSource(sendtype, arguments.sendbuff);
  checked.segment.sink = elementSink(recvtype, arguments.recvbuff);
  checked.segment.count = arguments.count;
  return checked;
}

}  // namespace signccl
