// SPDX-License-Identifier: Apache-2.0
// The arguments of a handler of Lion steps, as the C API takes them.
#ifndef SIGNCCL_JAX_LION_ARRAYS_H_
#define SIGNCCL_JAX_LION_ARRAYS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "arrays.h"
#include "signccl/lion.h"
#include "xla/ffi/api/ffi.h"

namespace signccl::jax {

struct LionAttributes {
  std::int64_t ranks;
  std::int64_t aggregation;
  std::int64_t zero;
  std::int64_t tie;
  std::int64_t rounding;
  std::int64_t seed;
  double beta1;
  double beta2;
  xla::ffi::Span<const std::int32_t> groups;
};

/// What a Lion object is made of. Two steps for which it is equal can use one object.
struct LionParts {
  std::vector<void*> parameters;
  std::vector<void*> momenta;
  std::vector<std::size_t> counts;
  std::vector<int> parameter_types;
  std::vector<int> momentum_types;
  std::vector<int> gradient_types;
  std::vector<int> groups;
  std::size_t ngroups = 0;
  std::int64_t aggregation = 0;
  std::int64_t zero = 0;
  std::int64_t tie = 0;
  std::int64_t rounding = 0;
  std::int64_t seed = 0;

  [[nodiscard]] bool hasElements() const;
  /// Refers to the vectors.
  [[nodiscard]] signcclLionConfig_t config() const;

  friend bool operator==(const LionParts&, const LionParts&) = default;
};

/// The arrays of one step.
struct LionStep {
  LionParts parts;
  std::vector<const void*> gradients;
  const float* learning_rates = nullptr;  ///< [parts.ngroups], where the arrays are
  const float* weight_decays = nullptr;   ///< [parts.ngroups]
};

/// Gives the result the argument's elements, if XLA has not given both the same memory.
using MoveInto = void (*)(const Array& given, const Array& result);

/// Throws std::invalid_argument for arguments that do not fit each other, and what `move` throws.
LionStep lionStepOf(const LionAttributes& attributes, const xla::ffi::RemainingArgs& arguments,
                    const xla::ffi::RemainingRets& results, MoveInto move);

}  // namespace signccl::jax

#endif  // SIGNCCL_JAX_LION_ARRAYS_H_
