// SPDX-License-Identifier: Apache-2.0
// Element types: names as in nccl-tests, sizes, and which result type goes with which operation.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_ELEMENT_TYPES_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_ELEMENT_TYPES_H_

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sign_all_reduce_perf/options.h"
#include "signccl/signccl.h"

namespace signccl::perf {

/// Every type that can be sent, in the order of "-d all".
std::span<const signcclDataType_t> sendTypes();

/// Every type that a result can have.
std::span<const signcclDataType_t> recvTypes();

const char* typeName(signcclDataType_t type);
const char* opName(SignOp op);
const char* zeroRuleName(signcclZeroRule_t rule);
const char* misfitRuleName(signcclMisfitRule_t rule);
const char* tieRuleName(signcclTieRule_t rule);

/// The type called `name` among `types`, or nothing.
std::optional<signcclDataType_t> typeNamed(std::string_view name, std::span<const signcclDataType_t> types);

/// Bits that one element takes: 1 for bits, else 8 times its bytes.
std::size_t bitsPerElement(signcclDataType_t type);

/// Bytes that `count` elements are: packed bits are rounded up to bytes. The `size` column of the table.
std::size_t payloadBytes(signcclDataType_t type, std::size_t count);

/// Bytes that a buffer of `count` elements needs: packed bits are rounded up to 64-bit words.
std::size_t bufferBytes(signcclDataType_t type, std::size_t count);

/// Most elements whose payload is at most `bytes`.
std::size_t countFor(signcclDataType_t type, std::size_t bytes);

/// Why `op` cannot give `recvtype`, or an empty text if it can.
std::string whyNotRecvType(SignOp op, signcclDataType_t recvtype, signcclTieRule_t tie_rule, int nranks);

/// The sendtype where the operation can give it, else the nearest type that holds every result.
signcclDataType_t defaultRecvType(SignOp op, signcclDataType_t sendtype, signcclTieRule_t tie_rule, int nranks);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_ELEMENT_TYPES_H_
