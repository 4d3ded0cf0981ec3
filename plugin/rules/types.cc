// SPDX-License-Identifier: Apache-2.0
#include "rules/types.h"

#include <array>

namespace signccl::rules {
namespace {

using Name = std::string_view;

constexpr std::array kElementTypes = std::to_array<Name>({"int8", "float16", "bfloat16", "float32", "float64"});
constexpr std::array kReduceOps = std::to_array<Name>({"sum", "avg"});
constexpr std::array kActions = std::to_array<Name>({"forward", "sign_sum", "vote", "avg"});
constexpr std::array kZeroRules = std::to_array<Name>({"binary", "ternary"});
constexpr std::array kTieRules = std::to_array<Name>({"zero", "positive", "negative", "random"});
constexpr std::array kModes = std::to_array<Name>({"on", "off", "dry"});

}  // namespace

std::span<const std::string_view> namesOf(ElementType /*type*/) { return kElementTypes; }
std::span<const std::string_view> namesOf(ReduceOp /*op*/) { return kReduceOps; }
std::span<const std::string_view> namesOf(Action /*action*/) { return kActions; }
std::span<const std::string_view> namesOf(ZeroRule /*rule*/) { return kZeroRules; }
std::span<const std::string_view> namesOf(TieRule /*rule*/) { return kTieRules; }
std::span<const std::string_view> namesOf(Mode /*mode*/) { return kModes; }

}  // namespace signccl::rules
