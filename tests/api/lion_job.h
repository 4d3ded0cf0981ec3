// SPDX-License-Identifier: Apache-2.0
// A training job in miniature for tests of the Lion functions: ranks with buffers of their own, and what the reference
// says they hold.
#ifndef SIGNCCL_TESTS_API_LION_JOB_H_
#define SIGNCCL_TESTS_API_LION_JOB_H_

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "signccl/lion.h"
#include "support/guarded_buffer.h"
#include "support/lion_reference.h"

namespace signccl {

struct LionShape {
  std::size_t count = 0;
  FloatType parameters = FloatType::kFloat32;
  FloatType momenta = FloatType::kFloat32;
  FloatType gradients = FloatType::kFloat32;
  int group = 0;
};

inline int dataTypeOf(FloatType type) {
  switch (type) {
    case FloatType::kFloat32:
      return signcclFloat32;
    case FloatType::kFloat16:
      return signcclFloat16;
    case FloatType::kBFloat16:
      return signcclBfloat16;
  }
  return -1;
}

/// A user's copy of a buffer, not aligned.
inline GuardedBuffer copyOf(const FloatBuffer& buffer, std::size_t offset) {
  GuardedBuffer copy(buffer.bytes().size(), offset);
  if (copy.size() > 0) std::memcpy(copy.data(), buffer.bytes().data(), copy.size());
  return copy;
}

inline bool areEqual(const GuardedBuffer& buffer, const FloatBuffer& expected) {
  return buffer.isIntact() && std::ranges::equal(buffer.bytes(), expected.bytes());
}

inline signcclLionConfig_t configOf(const ReferenceLionRules& rules) {
  signcclLionConfig_t config = SIGNCCL_LION_CONFIG_INITIALIZER;
  config.aggregation = rules.op == SignOp::kVote ? signcclLionVote : signcclLionAvg;
  config.zeroRule = rules.is_ternary ? signcclZeroTernary : signcclZeroBinary;
  constexpr int kTies[] = {signcclTieZero, signcclTiePositive, signcclTieNegative, signcclTieRandom};
  config.tieRule = kTies[static_cast<int>(rules.tie)];
  config.rounding = rules.rounds_stochastically ? signcclLionRoundStochastic : signcclLionRoundNearest;
  config.roundingSeed = rules.rounding_seed;
  return config;
}

/// Hyperparameters in the arrays that a step is given.
struct LionHyperparameters {
  std::vector<double> rates, beta1s, beta2s, decays;

  explicit LionHyperparameters(const std::vector<ReferenceHyperparameters>& groups) {
    for (const ReferenceHyperparameters& group : groups) {
      rates.push_back(group.learning_rate);
      beta1s.push_back(group.beta1);
      beta2s.push_back(group.beta2);
      decays.push_back(group.weight_decay);
    }
  }

  [[nodiscard]] signcclLionStepConfig_t config() const {
    signcclLionStepConfig_t step = SIGNCCL_LION_STEP_INITIALIZER;
    step.learningRates = rates.data();
    step.beta1s = beta1s.data();
    step.beta2s = beta2s.data();
    step.weightDecays = decays.data();
    return step;
  }
};

/// One rank's Lion object and the memory that it works on.
class LionRank {
 public:
  LionRank(const std::vector<LionShape>& shapes, const std::vector<FloatBuffer>& parameters,
           const std::vector<FloatBuffer>& momenta, signcclLionConfig_t config, signcclComm_t comm) {
    std::vector<void*> parameter_addresses;
    std::vector<void*> momentum_addresses;
    std::vector<std::size_t> counts;
    std::vector<int> types[3];
    std::vector<int> groups;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      parameters_.push_back(copyOf(parameters[i], i % 4));
      momenta_.push_back(copyOf(momenta[i], (i + 1) % 4));
      parameter_addresses.push_back(parameters_.back().data());
      momentum_addresses.push_back(momenta_.back().data());
      counts.push_back(shapes[i].count);
      types[0].push_back(dataTypeOf(shapes[i].parameters));
      types[1].push_back(dataTypeOf(shapes[i].momenta));
      types[2].push_back(dataTypeOf(shapes[i].gradients));
      groups.push_back(shapes[i].group);
    }
    config.tensorCount = shapes.size();
    config.parameters = parameter_addresses.data();
    config.momenta = momentum_addresses.data();
    config.counts = counts.data();
    config.parameterTypes = types[0].data();
    config.momentumTypes = types[1].data();
    config.gradientTypes = types[2].data();
    config.groups = groups.data();
    config.groupCount = *std::ranges::max_element(groups) + 1;
    EXPECT_EQ(signcclLionCreate(&lion_, &config, comm), signcclSuccess) << signcclGetLastError(comm);
  }
  ~LionRank() {
    if (lion_ == nullptr) return;
    EXPECT_EQ(signcclLionDestroy(lion_), signcclSuccess) << signcclGetLastError(nullptr);
  }
  LionRank(const LionRank&) = delete;
  LionRank& operator=(const LionRank&) = delete;

  [[nodiscard]] signcclLion_t lion() const { return lion_; }

  /// Copies gradients, null for none, to where the next step finds them.
  void setGradients(const std::vector<const FloatBuffer*>& gradients) {
    gradients_.clear();
    addresses_.clear();
    gradients_.reserve(gradients.size());
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i] != nullptr) gradients_.push_back(copyOf(*gradients[i], (i + 2) % 4));
      addresses_.push_back(gradients[i] == nullptr ? nullptr : gradients_.back().data());
    }
  }
  [[nodiscard]] const void* const* gradients() const { return addresses_.data(); }

  [[nodiscard]] const GuardedBuffer& parameters(std::size_t tensor) const { return parameters_[tensor]; }
  [[nodiscard]] const GuardedBuffer& momenta(std::size_t tensor) const { return momenta_[tensor]; }
  void setParameters(std::size_t tensor, const FloatBuffer& values) {
    std::ranges::copy(values.bytes(), parameters_[tensor].data());
  }

 private:
  signcclLion_t lion_ = nullptr;
  std::vector<GuardedBuffer> parameters_, momenta_, gradients_;
  std::vector<const void*> addresses_;
};

/// What all ranks hold according to the reference, and gradients for them.
class LionReference {
 public:
  LionReference(std::vector<LionShape> shapes, int nranks, const ReferenceLionRules& rules, std::uint64_t seed)
      : shapes_(std::move(shapes)), rules_(rules), random_(seed), nranks_(static_cast<std::size_t>(nranks)) {
    for (const LionShape& shape : shapes_) {
      parameters_.emplace_back(shape.parameters, shape.count);
      parameters_.back().fill(random_, 1);
      std::vector<FloatBuffer>& momenta = momenta_.emplace_back();
      for (std::size_t rank = 0; rank < nranks_; ++rank) {
        momenta.emplace_back(shape.momenta, shape.count);
        momenta.back().fill(random_, 0.1);
      }
    }
    drawGradients();
  }

  [[nodiscard]] const std::vector<LionShape>& shapes() const { return shapes_; }
  [[nodiscard]] const FloatBuffer& parameters(std::size_t tensor) const { return parameters_[tensor]; }
  [[nodiscard]] const FloatBuffer& momenta(std::size_t tensor, int rank) const {
    return momenta_[tensor][static_cast<std::size_t>(rank)];
  }

  [[nodiscard]] std::unique_ptr<LionRank> makeRank(int rank, signcclComm_t comm) const {
    return std::make_unique<LionRank>(shapes_, parameters_, momentaOf(rank), configOf(rules_), comm);
  }

  /// New gradients of all ranks; some tensors of some ranks have none.
  void drawGradients() {
    drawNumbers();
    is_missing_.assign(shapes_.size(), std::vector<bool>(nranks_));
    for (std::vector<bool>& tensor : is_missing_) {
      for (std::size_t rank = 0; rank < nranks_; ++rank) tensor[rank] = random_() % 7 == 0;
    }
  }
  /// The same, but those that are missing stay so.
  void drawNumbers() {
    gradients_.assign(shapes_.size(), {});
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
      for (std::size_t rank = 0; rank < nranks_; ++rank) {
        FloatBuffer& gradients = gradients_[i].emplace_back(shapes_[i].gradients, shapes_[i].count);
        gradients.fill(random_, 0.1);
      }
    }
  }
  [[nodiscard]] std::vector<const FloatBuffer*> gradientsOf(int rank) const {
    std::vector<const FloatBuffer*> gradients;
    for (std::size_t i = 0; i < shapes_.size(); ++i) gradients.push_back(gradientOf(i, static_cast<std::size_t>(rank)));
    return gradients;
  }

  /// Makes a step. Ranks of `skipping` keep their momenta, and then nobody's parameters change.
  void step(const std::vector<ReferenceHyperparameters>& groups, std::uint64_t call,
            const std::vector<int>& skipping = {}) {
    std::uint64_t first_word = 0;
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
      std::vector<const FloatBuffer*> gradients;
      for (std::size_t rank = 0; rank < nranks_; ++rank) gradients.push_back(gradientOf(i, rank));
      const FloatBuffer parameters = parameters_[i];
      const std::vector<FloatBuffer> momenta = momenta_[i];
      referenceLionStep({rules_, groups[static_cast<std::size_t>(shapes_[i].group)], call, first_word}, gradients,
                        momenta_[i], parameters_[i]);
      if (!skipping.empty()) parameters_[i] = parameters;
      for (const int rank : skipping)
        momenta_[i][static_cast<std::size_t>(rank)] = momenta[static_cast<std::size_t>(rank)];
      first_word += (shapes_[i].count + 63) / 64;
    }
  }

  /// The same job without its last rank.
  [[nodiscard]] LionReference withoutLastRank() const {
    LionReference fewer = *this;
    --fewer.nranks_;
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
      fewer.momenta_[i].pop_back();
      fewer.gradients_[i].pop_back();
      fewer.is_missing_[i].pop_back();
    }
    return fewer;
  }

  /// True if a rank holds what the reference says, and nothing else was written.
  [[nodiscard]] bool agreesWith(int rank, const LionRank& other) const {
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
      if (!areEqual(other.parameters(i), parameters_[i])) return false;
      if (!areEqual(other.momenta(i), momenta_[i][static_cast<std::size_t>(rank)])) return false;
    }
    return true;
  }

 private:
  [[nodiscard]] const FloatBuffer* gradientOf(std::size_t tensor, std::size_t rank) const {
    return is_missing_[tensor][rank] ? nullptr : &gradients_[tensor][rank];
  }
  [[nodiscard]] std::vector<FloatBuffer> momentaOf(int rank) const {
    std::vector<FloatBuffer> momenta;
    for (const auto& tensor : momenta_) momenta.push_back(tensor[static_cast<std::size_t>(rank)]);
    return momenta;
  }

  std::vector<LionShape> shapes_;
  ReferenceLionRules rules_;
  std::mt19937_64 random_;
  std::size_t nranks_;
  std::vector<FloatBuffer> parameters_;              ///< [tensor]
  std::vector<std::vector<FloatBuffer>> momenta_;    ///< [tensor][rank]
  std::vector<std::vector<FloatBuffer>> gradients_;  ///< [tensor][rank]
  std::vector<std::vector<bool>> is_missing_;        ///< [tensor][rank] there are no gradients
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_API_LION_JOB_H_
