// SPDX-License-Identifier: Apache-2.0
// The one definition of encodeLion, for every instruction set. An `Isa` gives Floats, a small vector V of float32:
//   V::kLanes                      how many, a multiple of 4 that divides kWordBits
//   V::fill(x)                     x everywhere
//   V::load<type>(p)               kLanes numbers of a FloatType from any address, widened exactly
//   V::loadAligned(p)              kLanes numbers of float32 from an address that is a multiple of their size
//   v.store<type>(p)               the numbers rounded to nearest, ties to even; NaN becomes the quiet NaN of the type
//                                  without sign and payload
//   v.storeStochastic(p, random)   bfloat16: 16 random bits are added below the bits that stay, which are cut off. The
//                                  bits of number e are bits 16 (e % 4) to 16 (e % 4) + 15 of random[e / 4]
//   a + b, a - b, a * b            rounded once each, under the default mode of the floating-point unit
//   v.isNegative(), v.isPositive() where the numbers are below and above zero, as a V::Mask
//   V::gather(masks)               the masks of kWordBits numbers as a word, the first at bit 0
#ifndef SIGNCCL_KERNELS_LION_ENCODE_IMPL_H_
#define SIGNCCL_KERNELS_LION_ENCODE_IMPL_H_

#include "kernels/encode_impl.h"
#include "kernels/float_mode.h"
#include "kernels/kernels.h"
#include "kernels/lion_ops.h"
#include "kernels/word_ops.h"

namespace signccl {

/// Where gradients come from: memory, or nowhere, as they are all 0.
template <FloatType kType>
struct GradientsOf {
  static constexpr size_t kBytes = floatBytes(kType);
  template <typename V>
  SIGNCCL_WORD_OP static V load(const unsigned char* at) {
    return V::template load<kType>(at);
  }
};
struct NoGradients {
  static constexpr size_t kBytes = 0;
  template <typename V>
  SIGNCCL_WORD_OP static V load(const unsigned char*) {
    return V::fill(0);
  }
};

/// Whole words of elements: where those of the first word lie, and where signs go. `mask`: the elements that count.
struct LionWords {
  const unsigned char* gradients;
  unsigned char* momenta;
  SignPlanes signs;
  size_t nwords;
  Word mask;
};

/// A function of its own, so that there is one copy of it for whole words and for the last one.
template <typename Isa, typename Gradients, FloatType kMomentum, bool kTernary>
[[gnu::noinline]] void encodeLionWords(const LionBetas& betas, LionWords words) {
  using V = typename Isa::Floats;
  constexpr size_t kVectors = kWordBits / V::kLanes;
  constexpr size_t kGradientBytes = V::kLanes * Gradients::kBytes;
  constexpr size_t kMomentumBytes = V::kLanes * floatBytes(kMomentum);
  const V beta1 = V::fill(betas.beta1);
  const V one_minus_beta1 = V::fill(betas.one_minus_beta1);
  const V beta2 = V::fill(betas.beta2);
  const V one_minus_beta2 = V::fill(betas.one_minus_beta2);
  const unsigned char* gradients = words.gradients;
  unsigned char* momenta = words.momenta;
  for (size_t i = 0; i < words.nwords; ++i) {
    typename V::Mask negative[kVectors];
    [[maybe_unused]] typename V::Mask positive[kVectors];
    repeat<kVectors>([&](size_t k) {
      const V gradient = Gradients::template load<V>(gradients + k * kGradientBytes);
      const V momentum = V::template load<kMomentum>(momenta + k * kMomentumBytes);
      const V update = lionMix(beta1, momentum, one_minus_beta1, gradient);
      negative[k] = update.isNegative();
      if constexpr (kTernary) positive[k] = update.isPositive();
      lionMix(beta2, momentum, one_minus_beta2, gradient).template store<kMomentum>(momenta + k * kMomentumBytes);
    });
    if constexpr (kTernary) words.signs.positive[i] = V::gather(positive) & words.mask;
    words.signs.nonnegative[i] = ~V::gather(negative) & words.mask;
    gradients += kVectors * kGradientBytes;
    momenta += kVectors * kMomentumBytes;
  }
}

template <typename Isa, typename Gradients, FloatType kMomentum, bool kTernary>
void encodeLionElements(const LionMomenta& lion, size_t count, SignPlanes signs) {
  constexpr size_t kGradientBlock = kWordBits * Gradients::kBytes;
  constexpr size_t kMomentumBlock = kWordBits * floatBytes(kMomentum);
  const auto* gradients = static_cast<const unsigned char*>(lion.gradients);
  auto* momenta = static_cast<unsigned char*>(lion.momenta);
  const size_t whole = count / kWordBits;
  encodeLionWords<Isa, Gradients, kMomentum, kTernary>(lion.betas, {gradients, momenta, signs, whole, ~Word{0}});
  const size_t rest = count % kWordBits;
  if (rest == 0) return;
  unsigned char last_gradients[kGradientBlock + 1] = {};  // not empty
  unsigned char last_momenta[kMomentumBlock] = {};
  momenta += whole * kMomentumBlock;
  if constexpr (kGradientBlock != 0) {
    __builtin_memcpy(last_gradients, gradients + whole * kGradientBlock, rest * Gradients::kBytes);
  }
  __builtin_memcpy(last_momenta, momenta, rest * floatBytes(kMomentum));
  if constexpr (kTernary) signs.positive += whole;
  signs.nonnegative += whole;
  encodeLionWords<Isa, Gradients, kMomentum, kTernary>(lion.betas,
                                                       {last_gradients, last_momenta, signs, 1, lowBits(rest)});
  __builtin_memcpy(momenta, last_momenta, rest * floatBytes(kMomentum));
}

template <typename Isa, typename Gradients, bool kTernary>
void encodeLionMomenta(const LionMomenta& lion, size_t count, SignPlanes signs) {
  switch (lion.momentum_type) {
    case FloatType::kFloat32:
      return encodeLionElements<Isa, Gradients, FloatType::kFloat32, kTernary>(lion, count, signs);
    case FloatType::kFloat16:
      return encodeLionElements<Isa, Gradients, FloatType::kFloat16, kTernary>(lion, count, signs);
    case FloatType::kBFloat16:
      return encodeLionElements<Isa, Gradients, FloatType::kBFloat16, kTernary>(lion, count, signs);
  }
}

/// Never inlined: see DefaultFloatMode.
template <typename Isa, bool kTernary>
[[gnu::noinline]] void encodeLionGradients(const LionMomenta& lion, size_t count, SignPlanes signs) {
  if (lion.gradients == nullptr) return encodeLionMomenta<Isa, NoGradients, kTernary>(lion, count, signs);
  switch (lion.gradient_type) {
    case FloatType::kFloat32:
      return encodeLionMomenta<Isa, GradientsOf<FloatType::kFloat32>, kTernary>(lion, count, signs);
    case FloatType::kFloat16:
      return encodeLionMomenta<Isa, GradientsOf<FloatType::kFloat16>, kTernary>(lion, count, signs);
    case FloatType::kBFloat16:
      return encodeLionMomenta<Isa, GradientsOf<FloatType::kBFloat16>, kTernary>(lion, count, signs);
  }
}

template <typename Isa>
void encodeLion(const LionMomenta& lion, size_t count, Word* positive, Word* nonnegative) {
  const DefaultFloatMode mode;
  if (positive == nullptr) {
    encodeLionGradients<Isa, false>(lion, count, {nullptr, nonnegative});
  } else {
    encodeLionGradients<Isa, true>(lion, count, {positive, nonnegative});
  }
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_LION_ENCODE_IMPL_H_
