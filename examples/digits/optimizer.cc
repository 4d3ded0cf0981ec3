// SPDX-License-Identifier: Apache-2.0
#include "optimizer.h"

#include <cmath>
#include <stdexcept>
#include <vector>

namespace digits {
namespace {

constexpr float kLionBeta1 = 0.9F;
constexpr float kAdamBeta1 = 0.9F;
constexpr float kAdamBeta2 = 0.999F;
constexpr float kAdamEpsilon = 1e-8F;

/// Lion's direction before its sign is taken, in place of the gradient, and then the momentum's own step.
/// Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2.
void takeLionDirection(std::span<float> momentum, std::span<float> gradient, float beta2) {
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const float direction = kLionBeta1 * momentum[i] + (1 - kLionBeta1) * gradient[i];
    momentum[i] = beta2 * momentum[i] + (1 - beta2) * gradient[i];
    gradient[i] = direction;
  }
}

/// x <- x - lr (update + weight_decay x)
void descend(std::span<float> parameters, std::span<const float> update, float learning_rate, float weight_decay) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    parameters[i] -= learning_rate * (update[i] + weight_decay * parameters[i]);
  }
}

/// Momentum stays with the worker, whose batches alone it has seen; only the signs of directions are exchanged.
/// Source: Liu et al. 2024, arXiv:2404.00438, algorithm 1. From time to time momenta may be averaged (Ishikawa et al.
/// 2024, arXiv:2411.16462).
class DistributedLion : public Optimizer {
 public:
  DistributedLion(const Method& method, int rank, int nranks, std::size_t count, const Rendezvous& rendezvous)
      : method_(method),
        rank_(rank),
        group_(nranks, rendezvous.id, rank, rendezvous.algorithm),
        mean_(rendezvous.mean),
        bytes_per_sync_(static_cast<std::uint64_t>(fp32RingBytes(nranks, count))),
        momentum_(count) {
    rules_.zeroRule = method.zero_rule;
    rules_.tieRule = method.tie_rule;
  }

  void step(std::span<float> parameters, std::span<float> gradient, float learning_rate) override {
    takeLionDirection(momentum_, gradient, method_.beta2);
    if (method_.kind == MethodKind::kVote) {
      group_.vote(gradient, rules_);
    } else {
      group_.average(gradient, rules_);
    }
    descend(parameters, gradient, learning_rate, method_.settings.weight_decay);
    if (method_.sync_every > 0 && ++steps_ % method_.sync_every == 0) {
      mean_->average(rank_, momentum_);
      bytes_of_syncs_ += bytes_per_sync_;
    }
  }

  [[nodiscard]] std::uint64_t bytesSent() const override { return group_.bytesSent() + bytes_of_syncs_; }
  void leave() noexcept override {
    group_.abort();
    if (method_.sync_every > 0) mean_->leave();
  }

 private:
  Method method_;
  int rank_;
  SignGroup group_;
  MeanGroup* mean_;  ///< used if momenta are averaged
  int steps_ = 0;
  std::uint64_t bytes_per_sync_;  ///< as a ring would send them
  std::uint64_t bytes_of_syncs_ = 0;
  signcclSignConfig_t rules_ = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  std::vector<float> momentum_;
};

/// A rule for one machine, run alike by every worker on the mean gradient.
class MeanGradientOptimizer : public Optimizer {
 public:
  MeanGradientOptimizer(int rank, MeanGroup& group, float weight_decay)
      : rank_(rank), group_(group), weight_decay_(weight_decay) {}

  void step(std::span<float> parameters, std::span<float> gradient, float learning_rate) final {
    group_.average(rank_, gradient);
    turnIntoUpdate(gradient);
    descend(parameters, gradient, learning_rate, weight_decay_);
  }

  [[nodiscard]] std::uint64_t bytesSent() const final { return 0; }
  void leave() noexcept final { group_.leave(); }

 private:
  virtual void turnIntoUpdate(std::span<float> gradient) = 0;

  int rank_;
  MeanGroup& group_;
  float weight_decay_;
};

class Lion : public MeanGradientOptimizer {
 public:
  Lion(int rank, MeanGroup& group, const Method& method, std::size_t count)
      : MeanGradientOptimizer(rank, group, method.settings.weight_decay), beta2_(method.beta2), momentum_(count) {}

 private:
  void turnIntoUpdate(std::span<float> gradient) override {
    takeLionDirection(momentum_, gradient, beta2_);
    for (float& value : gradient) value = static_cast<float>((value > 0) - (value < 0));
  }

  float beta2_;
  std::vector<float> momentum_;
};

/// Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2.
class AdamW : public MeanGradientOptimizer {
 public:
  AdamW(int rank, MeanGroup& group, float weight_decay, std::size_t count)
      : MeanGradientOptimizer(rank, group, weight_decay), mean_(count), square_(count) {}

 private:
  void turnIntoUpdate(std::span<float> gradient) override {
    mean_left_ *= kAdamBeta1;
    square_left_ *= kAdamBeta2;
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      mean_[i] = kAdamBeta1 * mean_[i] + (1 - kAdamBeta1) * gradient[i];
      square_[i] = kAdamBeta2 * square_[i] + (1 - kAdamBeta2) * gradient[i] * gradient[i];
      gradient[i] = mean_[i] / (1 - mean_left_) / (std::sqrt(square_[i] / (1 - square_left_)) + kAdamEpsilon);
    }
  }

  std::vector<float> mean_;
  std::vector<float> square_;
  float mean_left_ = 1;    ///< beta1 to the power of the step: the share of the mean that is still its start, 0
  float square_left_ = 1;  ///< likewise for the mean square
};

}  // namespace

std::unique_ptr<Optimizer> makeOptimizer(const Method& method, int rank, int nranks, std::size_t count,
                                         const Rendezvous& rendezvous) {
  switch (method.kind) {
    case MethodKind::kVote:
    case MethodKind::kAvg:
      return std::make_unique<DistributedLion>(method, rank, nranks, count, rendezvous);
    case MethodKind::kLion:
      return std::make_unique<Lion>(rank, *rendezvous.mean, method, count);
    case MethodKind::kAdamW:
      return std::make_unique<AdamW>(rank, *rendezvous.mean, method.settings.weight_decay, count);
  }
  throw std::logic_error("unknown method");
}

}  // namespace digits
