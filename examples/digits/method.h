// SPDX-License-Identifier: Apache-2.0
// What is compared: a way to combine the workers, its rules and its settings.
#ifndef DIGITS_METHOD_H_
#define DIGITS_METHOD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "signccl/signccl.h"

namespace digits {

enum class MethodKind : std::uint8_t {
  kVote,   ///< Distributed Lion, majority vote
  kAvg,    ///< Distributed Lion, averaging
  kLion,   ///< Lion on averaged gradients
  kAdamW,  ///< AdamW on averaged gradients
};

struct HyperParameters {
  float learning_rate;  ///< at the start; it falls to 0 along a half cosine
  float weight_decay;   ///< decoupled: a step also subtracts learning rate x weight decay x parameter
};

struct Method {
  MethodKind kind = MethodKind::kVote;
  signcclZeroRule_t zero_rule = signcclZeroBinary;  ///< Distributed Lion only
  signcclTieRule_t tie_rule = signcclTieZero;       ///< votes only
  int sync_every = 0;   ///< Distributed Lion: steps after which momenta are averaged; 0: never
  float beta2 = 0.99F;  ///< of the momentum; not AdamW's
  HyperParameters settings{};

  /// A name without spaces, for files: vote-zero, vote-ternary-random, avg, avg-ternary, avg-sync10, lion, adamw.
  [[nodiscard]] std::string id() const;
  /// A name to be read.
  [[nodiscard]] std::string title() const;
  /// Whether signs travel, not gradients.
  [[nodiscard]] bool sendsSigns() const { return kind == MethodKind::kVote || kind == MethodKind::kAvg; }
};

/// The settings that the README's tuning run found best for each kind.
HyperParameters tunedSettings(MethodKind kind);

/// Every method that these lists allow, with tuned settings: votes in each zero rule and tie rule, averaging in each
/// zero rule.
std::vector<Method> listMethods(const std::vector<MethodKind>& kinds, const std::vector<signcclZeroRule_t>& zero_rules,
                                const std::vector<signcclTieRule_t>& tie_rules);

}  // namespace digits

#endif  // DIGITS_METHOD_H_
