// SPDX-License-Identifier: Apache-2.0
#include "lion_arrays.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace signccl::jax {
namespace {

namespace ffi = xla::ffi;

/// Where the arrays of a step are among the arguments.
constexpr std::size_t kHyperparameters = 1;
constexpr std::size_t kFirstArray = 2;

void add(LionStep& step, const Array& parameter, const Array& momentum, const Array& gradient) {
  LionParts& parts = step.parts;
  parts.parameters.push_back(parameter.data);
  parts.momenta.push_back(momentum.data);
  parts.counts.push_back(parameter.count);
  parts.parameter_types.push_back(parameter.type);
  parts.momentum_types.push_back(momentum.type);
  parts.gradient_types.push_back(gradient.type);
  step.gradients.push_back(gradient.data);
}

void checkSame(const Array& given, const Array& result) {
  if (given.type != result.type || given.count != result.count) {
    throw std::invalid_argument("a result has another type or shape than its argument");
  }
}

void addArrays(LionStep& step, const ffi::RemainingArgs& arguments, const ffi::RemainingRets& results, MoveInto move) {
  const std::size_t n = results.size() / 2;
  if (results.size() != 2 * n || arguments.size() != kFirstArray + 3 * n) {
    throw std::invalid_argument("a step has " + std::to_string(results.size()) + " results and " +
                                std::to_string(arguments.size()) + " arguments, expected 2 n and 3 n + 2");
  }
  const auto in_place = [&](std::size_t number) {
    const Array given = argument(arguments, kFirstArray + number);
    const Array updated = result(results, number);
    checkSame(given, updated);
    if (given.data != updated.data && given.bytes != 0) move(given, updated);
    return updated;
  };
  for (std::size_t i = 0; i < n; ++i) {
    const Array gradient = argument(arguments, kFirstArray + 2 * n + i);
    const Array parameter = in_place(i);
    const Array momentum = in_place(n + i);
    if (parameter.count != momentum.count || parameter.count != gradient.count) {
      throw std::invalid_argument("parameters, momenta and gradients of array " + std::to_string(i) +
                                  " have different numbers of elements");
    }
    add(step, parameter, momentum, gradient);
  }
}

void addHyperparameters(LionStep& step, const ffi::RemainingArgs& arguments) {
  const Array given = argument(arguments, kHyperparameters);
  if (given.type != signcclFloat32 || given.count % 2 != 0) {
    throw std::invalid_argument("the second argument is not float32[2][groups]");
  }
  step.parts.ngroups = given.count / 2;
  step.learning_rates = static_cast<const float*>(given.data);
  step.weight_decays = step.learning_rates + step.parts.ngroups;
}

}  // namespace

bool LionParts::hasElements() const {
  return std::ranges::any_of(counts, [](std::size_t count) { return count > 0; });
}

signcclLionConfig_t LionParts::config() const {
  signcclLionConfig_t config = SIGNCCL_LION_CONFIG_INITIALIZER;
  config.tensorCount = counts.size();
  config.parameters = parameters.data();
  config.momenta = momenta.data();
  config.counts = counts.data();
  config.parameterTypes = parameter_types.data();
  config.momentumTypes = momentum_types.data();
  config.gradientTypes = gradient_types.data();
  config.groups = groups.data();
  config.groupCount = static_cast<int>(ngroups);
  config.aggregation = static_cast<int>(aggregation);
  config.zeroRule = static_cast<int>(zero);
  config.tieRule = static_cast<int>(tie);
  config.rounding = static_cast<int>(rounding);
  config.roundingSeed = static_cast<std::uint64_t>(seed);
  return config;
}

LionStep lionStepOf(const LionAttributes& attributes, const ffi::RemainingArgs& arguments,
                    const ffi::RemainingRets& results, MoveInto move) {
  LionStep step;
  addHyperparameters(step, arguments);
  addArrays(step, arguments, results, move);
  LionParts& parts = step.parts;
  if (attributes.groups.size() != parts.counts.size()) {
    throw std::invalid_argument("the attribute groups has " + std::to_string(attributes.groups.size()) +
                                " numbers, expected one for each of " + std::to_string(parts.counts.size()) +
                                " parameters");
  }
  parts.groups.assign(attributes.groups.begin(), attributes.groups.end());
  parts.aggregation = attributes.aggregation;
  parts.zero = attributes.zero;
  parts.tie = attributes.tie;
  parts.rounding = attributes.rounding;
  parts.seed = attributes.seed;
  return step;
}

}  // namespace signccl::jax
