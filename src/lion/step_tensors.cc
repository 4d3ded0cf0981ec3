// SPDX-License-Identifier: Apache-2.0
#include "lion/step_tensors.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include "base/digest.h"
#include "base/error.h"
#include "kernels/names.h"

namespace signccl {
namespace {

/// The shortest text that is this number and no other.
std::string textOf(double number) {
  char text[32];
  const std::to_chars_result end = std::to_chars(std::begin(text), std::end(text), number);
  return {text, end.ptr};
}

/// A learning rate or a weight decay.
std::string scaleText(double scale) { return scale == kInDeviceMemory ? "that in device memory" : textOf(scale); }

std::uint64_t digestOf(std::initializer_list<std::uint64_t> numbers) {
  std::uint64_t digest = numbers.size();
  for (const std::uint64_t number : numbers) digest = mix(digest, number);
  return digest;
}

std::uint64_t bitsOf(double number) { return std::bit_cast<std::uint64_t>(number); }

}  // namespace

LionBetas betasOf(const LionGroup& group) {
  return {static_cast<float>(group.beta1), static_cast<float>(1 - group.beta1), static_cast<float>(group.beta2),
          static_cast<float>(1 - group.beta2)};
}

StepTensors::StepTensors(const LionOptions& options) : options_(options), steps_(options.tensors.size()) {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    steps_[i].tensor = options.tensors[i];
    steps_[i].first_word = nwords_;
    nwords_ += wordsFor(options.tensors[i].count);
    namesOf(options.tensors[i]);
  }
  groups_.reserve(options.ngroups);
}

/// The entry for the group and the types of a tensor, which is made by the constructor.
StepTensors::Names& StepTensors::namesOf(const LionTensor& tensor) {
  const auto found = std::ranges::find_if(names_, [&](const Names& names) {
    return names.group == tensor.group && names.gradient_type == tensor.gradient_type &&
           names.momentum_type == tensor.momentum_type && names.parameter_type == tensor.parameter_type;
  });
  if (found != names_.end()) return *found;
  return names_.emplace_back(
      Names{tensor.group, tensor.gradient_type, tensor.momentum_type, tensor.parameter_type, {}, {}});
}

void StepTensors::setHyperparameters(std::span<const LionGroup> groups) {
  if (std::ranges::equal(groups, groups_)) return;
  groups_.clear();  // so that a step which has no memory for the names leaves no half of this behind
  nameEnds(groups);
  groups_.assign(groups.begin(), groups.end());
  const std::uint64_t rounding =
      options_.rounds_stochastically ? digestOf({1, options_.rounding_seed}) : std::uint64_t{0};
  for (StepTensor& step : steps_) {
    const LionTensor& tensor = step.tensor;
    const LionGroup& group = groups_[tensor.group];
    step.betas = betasOf(group);
    step.learning_rate = static_cast<float>(group.learning_rate);
    step.weight_decay = static_cast<float>(group.weight_decay);
    step.source_digest =
        digestOf({static_cast<std::uint64_t>(tensor.gradient_type), static_cast<std::uint64_t>(tensor.momentum_type),
                  bitsOf(group.beta1), bitsOf(group.beta2)});
    step.sink_digest = digestOf({static_cast<std::uint64_t>(tensor.parameter_type), bitsOf(group.learning_rate),
                                 bitsOf(group.weight_decay), rounding});
    const Names& names = namesOf(tensor);
    step.source_name = &names.source;
    step.sink_name = &names.sink;
  }
}

void StepTensors::nameEnds(std::span<const LionGroup> groups) {
  const std::string rounding = options_.rounds_stochastically
                                   ? "stochastic with seed " + std::to_string(options_.rounding_seed)
                                   : std::string("to nearest");
  for (Names& names : names_) {
    const LionGroup& group = groups[names.group];
    names.source = std::string("the gradient type=") + floatTypeName(names.gradient_type) +
                   ", the momentum type=" + floatTypeName(names.momentum_type) + ", beta1=" + textOf(group.beta1) +
                   ", beta2=" + textOf(group.beta2);
    names.sink = std::string("the parameter type=") + floatTypeName(names.parameter_type) +
                 ", the learning rate=" + scaleText(group.learning_rate) +
                 ", the weight decay=" + scaleText(group.weight_decay) + ", rounding=" + rounding;
  }
}

void StepTensors::checkNotSubmitted(std::size_t first, std::size_t ntensors) const {
  for (std::size_t i = first; i < first + ntensors; ++i) {
    if (!steps_[i].is_submitted) continue;
    throw Error(signcclInvalidUsage, "tensor " + std::to_string(i) + " is in this step already");
  }
}

void StepTensors::segmentsOf(std::size_t first, std::size_t ntensors, std::uint64_t call,
                             std::vector<Segment>& segments) {
  segments.clear();
  std::size_t nwords = 0;
  for (StepTensor& step : all().subspan(first, ntensors)) {
    segments.push_back({.source = stepSource(step),
                        .sink = stepSink(step),
                        .count = step.tensor.count,
                        .call = call,
                        .first_word = step.first_word});
    nwords += wordsFor(step.tensor.count);
  }
  if (nwords > 0) return;
  segments.push_back(
      {.source = padSource(), .sink = padSink(), .count = kPadElements, .call = call, .first_word = nwords_});
}

}  // namespace signccl
