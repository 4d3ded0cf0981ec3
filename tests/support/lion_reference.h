// SPDX-License-Identifier: Apache-2.0
// What a Lion step means, element by element, written from docs/semantics.md alone: in double precision, which holds
// sums and products of float32 so well that rounding the result to float32 is the one rounding that the page asks for.
#ifndef SIGNCCL_TESTS_SUPPORT_LION_REFERENCE_H_
#define SIGNCCL_TESTS_SUPPORT_LION_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "base/types.h"
#include "kernels/lion.h"

namespace signccl {

/// Elements of a type, as bit patterns.
class FloatBuffer {
 public:
  FloatBuffer() = default;
  /// Zeros.
  FloatBuffer(FloatType type, std::size_t count);

  [[nodiscard]] FloatType type() const { return type_; }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] double get(std::size_t index) const;
  /// Rounded to nearest, ties to even; a NaN to that without payload.
  void set(std::size_t index, double value);
  /// bfloat16 only: `random`, of 16 bits, is added below the bits that stay.
  void setStochastically(std::size_t index, double value, std::uint32_t random);
  void setPattern(std::size_t index, std::uint32_t pattern);

  /// Numbers of common sizes, or, in every tenth place, any bit pattern.
  void fill(std::mt19937_64& random, double scale);

  friend bool operator==(const FloatBuffer&, const FloatBuffer&) = default;

 private:
  FloatType type_ = FloatType::kFloat32;
  std::size_t count_ = 0;
  std::vector<std::byte> bytes_;
};

/// As a user gives them.
struct ReferenceHyperparameters {
  double learning_rate = 0;
  double beta1 = 0;
  double beta2 = 0;
  double weight_decay = 0;
};

struct ReferenceLionRules {
  SignOp op = SignOp::kVote;
  bool is_ternary = false;
  TieRule tie = TieRule::kRandom;
  bool rounds_stochastically = false;
  std::uint64_t rounding_seed = 0;
};

/// One tensor in one step. `first_word`: ceil(count / 64) of all tensors before it, added up.
struct ReferenceLionStep {
  ReferenceLionRules rules;
  ReferenceHyperparameters hyperparameters;
  std::uint64_t call = 0;
  std::uint64_t first_word = 0;
};

/// Makes the step: momenta[rank] take gradients[rank], which may be null, and `parameters` are updated as on every
/// rank.
void referenceLionStep(const ReferenceLionStep& step, std::span<const FloatBuffer* const> gradients,
                       std::span<FloatBuffer> momenta, FloatBuffer& parameters);

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SUPPORT_LION_REFERENCE_H_
