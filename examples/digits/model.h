// SPDX-License-Identifier: Apache-2.0
// A multilayer perceptron with ReLU and softmax, its parameters in one flat vector.
#ifndef DIGITS_MODEL_H_
#define DIGITS_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "data.h"

namespace digits {

/// How well parameters fit a set of digits.
struct Score {
  double loss = 0;      ///< mean cross-entropy in nats
  double accuracy = 0;  ///< part of the digits that are recognised, 0 to 1
};

/// 64-128-64-10. Holds scratch, so each thread needs its own; parameters stay with the caller.
class Mlp {
 public:
  Mlp();

  [[nodiscard]] std::size_t parameterCount() const { return parameter_count_; }

  /// Random weights with variance 2 / inputs (He et al. 2015, arXiv:1502.01852), biases 0.
  [[nodiscard]] std::vector<float> initialParameters(std::uint64_t seed) const;

  /// Sets `gradient` to that of the mean loss over `batch`.
  ///
  /// @param parameters  [parameterCount()]
  /// @param gradient    [parameterCount()], overwritten
  void computeGradient(std::span<const float> parameters, const Digits& batch, std::span<float> gradient);

  Score evaluate(std::span<const float> parameters, const Digits& digits);

 private:
  /// Where a layer's numbers lie in the flat vector: weights [inputs][outputs], then biases [outputs].
  struct Layer {
    std::size_t inputs;
    std::size_t outputs;
    std::size_t weights;
    std::size_t biases;
  };

  /// Fills activations_; the last of them becomes the probabilities of the classes.
  void forward(std::span<const float> parameters, std::span<const float> image);
  /// Adds `scale` times the gradient of one digit's loss, whose activations are those of the last forward().
  void backward(std::span<const float> parameters, std::size_t label, float scale, std::span<float> gradient);

  std::vector<Layer> layers_;
  std::size_t parameter_count_ = 0;
  std::vector<std::vector<float>> activations_;  ///< [layers + 1]: the image, then each layer's output
  std::vector<std::vector<float>> deltas_;       ///< the loss's derivative by each layer's input
};

}  // namespace digits

#endif  // DIGITS_MODEL_H_
