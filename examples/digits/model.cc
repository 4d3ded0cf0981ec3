// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

namespace digits {
namespace {

constexpr std::array<std::size_t, 4> kWidths = {kPixels, 128, 64, kClasses};

/// y += a x
void addScaled(float a, const float* x, std::size_t count, float* y) {
  for (std::size_t i = 0; i < count; ++i) y[i] += a * x[i];
}

/// Eight sums side by side, so that the compiler may use vector registers without reordering any sum.
float dot(const float* x, const float* y, std::size_t count) {
  constexpr std::size_t kLanes = 8;
  std::array<float, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += x[i + lane] * y[i + lane];
  }
  for (; i < count; ++i) sums[0] += x[i] * y[i];
  float total = 0;
  for (const float sum : sums) total += sum;
  return total;
}

void softmax(std::span<float> values) {
  const float largest = *std::ranges::max_element(values);
  float total = 0;
  for (float& value : values) total += value = std::exp(value - largest);
  for (float& value : values) value /= total;
}

}  // namespace

Mlp::Mlp() {
  activations_.emplace_back(kWidths[0]);
  for (std::size_t i = 0; i + 1 < kWidths.size(); ++i) {
    const std::size_t inputs = kWidths[i];
    const std::size_t outputs = kWidths[i + 1];
    layers_.push_back({inputs, outputs, parameter_count_, parameter_count_ + inputs * outputs});
    parameter_count_ += (inputs + 1) * outputs;
    activations_.emplace_back(outputs);
    deltas_.emplace_back(inputs);
  }
  deltas_.emplace_back(kWidths.back());
}

std::vector<float> Mlp::initialParameters(std::uint64_t seed) const {
  std::vector<float> parameters(parameter_count_, 0.0F);
  std::mt19937_64 random(seed);
  for (const Layer& layer : layers_) {
    std::normal_distribution<float> weight(0.0F, std::sqrt(2.0F / static_cast<float>(layer.inputs)));
    for (std::size_t i = layer.weights; i < layer.biases; ++i) parameters[i] = weight(random);
  }
  return parameters;
}

void Mlp::forward(std::span<const float> parameters, std::span<const float> image) {
  std::ranges::copy(image, activations_[0].begin());
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const Layer& layer = layers_[l];
    const std::vector<float>& in = activations_[l];
    std::vector<float>& out = activations_[l + 1];
    std::ranges::copy(parameters.subspan(layer.biases, layer.outputs), out.begin());
    for (std::size_t i = 0; i < layer.inputs; ++i) {
      if (in[i] != 0.0F) addScaled(in[i], &parameters[layer.weights + i * layer.outputs], layer.outputs, out.data());
    }
    if (l + 1 < layers_.size()) {
      for (float& value : out) value = std::max(value, 0.0F);
    }
  }
  softmax(activations_.back());
}

void Mlp::backward(std::span<const float> parameters, std::size_t label, float scale, std::span<float> gradient) {
  std::vector<float>& last = deltas_.back();
  for (std::size_t c = 0; c < last.size(); ++c) {
    last[c] = scale * (activations_.back()[c] - (c == label ? 1.0F : 0.0F));
  }
  for (std::size_t l = layers_.size(); l-- > 0;) {
    const Layer& layer = layers_[l];
    const std::vector<float>& in = activations_[l];
    const std::vector<float>& delta = deltas_[l + 1];
    addScaled(1.0F, delta.data(), layer.outputs, &gradient[layer.biases]);
    for (std::size_t i = 0; i < layer.inputs; ++i) {
      // An input of 0 passes no gradient: its weights saw nothing, and ReLU is flat where its output is 0.
      deltas_[l][i] = 0.0F;
      if (in[i] == 0.0F) continue;
      const std::size_t row = layer.weights + i * layer.outputs;
      addScaled(in[i], delta.data(), layer.outputs, &gradient[row]);
      if (l > 0) deltas_[l][i] = dot(&parameters[row], delta.data(), layer.outputs);
    }
  }
}

void Mlp::computeGradient(std::span<const float> parameters, const Digits& batch, std::span<float> gradient) {
  std::ranges::fill(gradient, 0.0F);
  const float scale = 1.0F / static_cast<float>(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    forward(parameters, batch.image(i));
    backward(parameters, batch.labels[i], scale, gradient);
  }
}

Score Mlp::evaluate(std::span<const float> parameters, const Digits& digits) {
  constexpr float kTiny = 1e-30F;  // keeps the loss finite where a probability underflows
  Score score;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    forward(parameters, digits.image(i));
    const std::vector<float>& probabilities = activations_.back();
    const std::size_t label = digits.labels[i];
    score.loss -= std::log(std::max(probabilities[label], kTiny));
    const auto guess = std::ranges::max_element(probabilities) - probabilities.begin();
    score.accuracy += static_cast<std::size_t>(guess) == label ? 1.0 : 0.0;
  }
  score.loss /= static_cast<double>(digits.size());
  score.accuracy /= static_cast<double>(digits.size());
  return score;
}

}  // namespace digits
