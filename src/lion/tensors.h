// SPDX-License-Identifier: Apache-2.0
// What a Lion object is made of.
#ifndef SIGNCCL_LION_TENSORS_H_
#define SIGNCCL_LION_TENSORS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "comm/communicator.h"
#include "kernels/lion.h"

namespace signccl {

/// Parameters and momenta of one tensor, which belong to the user.
struct LionTensor {
  void* parameters = nullptr;
  void* momenta = nullptr;
  std::size_t count = 0;  ///< elements
  FloatType parameter_type = FloatType::kFloat32;
  FloatType momentum_type = FloatType::kFloat32;
  FloatType gradient_type = FloatType::kFloat32;
  std::size_t group = 0;  ///< number of its hyperparameters
};

/// A learning rate or a weight decay that the host does not know: the device reads it from its memory.
inline constexpr double kInDeviceMemory = -1;

/// Hyperparameters of the tensors of one group in one step, as the user gave them.
struct LionGroup {
  double learning_rate = 0;
  double beta1 = 0;
  double beta2 = 0;
  double weight_decay = 0;

  friend bool operator==(const LionGroup&, const LionGroup&) = default;
};

struct LionOptions {
  std::vector<LionTensor> tensors;
  std::size_t ngroups = 1;
  ExchangeRules rules;
  bool rounds_stochastically = false;  ///< bfloat16 parameters
  std::uint64_t rounding_seed = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_LION_TENSORS_H_
