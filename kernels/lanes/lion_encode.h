// SPDX-License-Identifier: Apache-2.0
// Gradients and momenta -> sign words, and the new momenta in the same pass; Kernels::encodeLion() for many tensors.
#ifndef SIGNCCL_KERNELS_LANES_LION_ENCODE_H_
#define SIGNCCL_KERNELS_LANES_LION_ENCODE_H_

#include "kernels/device/lion_arguments.h"
#include "kernels/lanes/lion_numbers.h"
#include "kernels/lanes/lion_rows.h"
#include "kernels/lanes/tensor_tiles.h"
#include "kernels/lion_ops.h"

namespace signccl::lanes {

/// Whole tiles are read row by row, kInRow elements of both types at once by every lane, so that every access of the
/// warp is contiguous: four, or one if gradients or momenta are not aligned to four.
template <FloatType kGradient, FloatType kMomentum, bool kTernary>
struct LionEncodeBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const LionEncodeArguments& arguments, WarpIndex warp) {
    forEachTensorTile<G>(arguments.table, arguments.range, arguments.status, warp, [&](const TensorTile& tile) {
      const void* gradients = G::load(arguments.gradients + tile.tensor).address;
      const LionBetas betas = G::load(arguments.table.groups + tile.entry.group).betas;
      if (!tile.is_whole) {
        anyTile<G>(arguments, tile, gradients, betas);
      } else if (isAlignedTo<GradientAccess<4>>(gradients) && isAlignedTo<MomentumAccess<4>>(tile.entry.numbers)) {
        wholeTile<G, 4>(arguments, tile, gradients, betas);
      } else {
        wholeTile<G, 1>(arguments, tile, gradients, betas);
      }
    });
  }

 private:
  using Gradients = NumbersOf<kGradient>;
  using Momenta = NumbersOf<kMomentum>;
  using GradientBits = typename Gradients::Bits;
  using MomentumBits = typename Momenta::Bits;

  /// Elements of a lane in a whole tile whose loads are under way at once.
  static constexpr int kAtOnce = 16;
  /// Turns of the loop over aligned rows that the compiler writes out, which takes fewer instructions. Types of 4 bytes
  /// have them to spare, and would need more registers.
  static constexpr int kTurnsAtOnce = Gradients::kInWord == 2 && Momenta::kInWord == 2 ? 2 : 1;
  /// The elements of other tiles, where each is a row.
  static constexpr int kRowsAtOnce = 4;

  template <int kInRow>
  using GradientRows = LaneRows<Gradients, kInRow, kAtOnce / kInRow>;
  template <int kInRow>
  using MomentumRows = LaneRows<Momenta, kInRow, kAtOnce / kInRow>;
  template <int kInRow>
  using GradientAccess = typename GradientRows<kInRow>::Access;
  template <int kInRow>
  using MomentumAccess = typename MomentumRows<kInRow>::Access;

  /// A bit for each of some elements: where u is below and above zero.
  struct Signs {
    uint32_t negative;
    uint32_t positive;
  };

  /// Where element `first` of gradients lies; null if they are zeros.
  template <typename T>
  SIGNCCL_WORD_OP static const T* gradientsAt(const void* gradients, size_t first) {
    return gradients == nullptr ? nullptr : static_cast<const T*>(gradients) + first;
  }

  /// Notes the sign of u as bit `place`, and returns m'.
  template <typename G>
  SIGNCCL_WORD_OP static float update(const LionBetas& betas, uint32_t gradient, uint32_t momentum, int place,
                                      Signs& signs) {
    using Float = LaneFloat<G>;
    const Float g{Gradients::template widen<G>(gradient)};
    const Float m{Momenta::template widen<G>(momentum)};
    const float u = lionMix(Float{betas.beta1}, m, Float{betas.one_minus_beta1}, g).x;
    if (u < 0) signs.negative |= uint32_t{1} << place;
    if (kTernary && u > 0) signs.positive |= uint32_t{1} << place;
    return lionMix(Float{betas.beta2}, m, Float{betas.one_minus_beta2}, g).x;
  }

  template <typename G, int kInRow>
  SIGNCCL_WORD_OP static void wholeTile(const LionEncodeArguments& arguments, const TensorTile& tile,
                                        const void* gradients, const LionBetas& betas) {
    constexpr int kRows = 32 / kInRow;
    const size_t first = tile.firstElement() / kInRow;
    typename G::template PerLane<uint32_t> negative = {};
    typename G::template PerLane<uint32_t> positive = {};
    SIGNCCL_UNROLL_BY(kInRow == 4 ? kTurnsAtOnce : 1)
    for (int row = 0; row < kRows; row += kAtOnce / kInRow) {
      G::each([&](int lane) {
        const size_t at = first + (static_cast<uint32_t>(row) * kLanes + static_cast<uint32_t>(lane));
        const Signs signs = updateRows<G, kInRow>(betas, gradientsAt<GradientAccess<kInRow>>(gradients, at),
                                                  static_cast<MomentumAccess<kInRow>*>(tile.entry.numbers) + at);
        negative[lane] |= signs.negative << (kInRow * row);
        positive[lane] |= signs.positive << (kInRow * row);
      });
    }
    transposeItems<G, kInRow>(negative);
    if constexpr (kTernary) transposeItems<G, kInRow>(positive);
    G::each([&](int lane) {
      const size_t half = tile.firstHalf() + static_cast<size_t>(wordOfLane<kInRow>(lane));
      G::store(halves(arguments.nonnegative) + half, ~negative[lane]);
      if constexpr (kTernary) G::store(halves(arguments.positive) + half, positive[lane]);
    });
  }

  /// What one lane does with kAtOnce elements, the first row of which is at the addresses.
  template <typename G, int kInRow>
  SIGNCCL_WORD_OP static Signs updateRows(const LionBetas& betas, const GradientAccess<kInRow>* gradients,
                                          MomentumAccess<kInRow>* momenta) {
    GradientRows<kInRow> g = {};
    MomentumRows<kInRow> m;
    if (gradients != nullptr) g.template load<G>(gradients);
    m.template load<G>(momenta);
    Signs signs = {};
    float next[kAtOnce];
    SIGNCCL_UNROLL
    for (int e = 0; e < kAtOnce; ++e) next[e] = update<G>(betas, g.get(e), m.get(e), e, signs);
    SIGNCCL_UNROLL
    for (int word = 0; word < kAtOnce / Momenta::kInWord; ++word) {
      m.setWord(word, Momenta::template narrowWord<G>(next + word * Momenta::kInWord));
    }
    m.template store<G>(momenta);
    return signs;
  }

  /// Elements one by one: the end of a tensor or of the range.
  template <typename G>
  SIGNCCL_WORD_OP static void anyTile(const LionEncodeArguments& arguments, const TensorTile& tile,
                                      const void* gradients, const LionBetas& betas) {
    const TileRows rows = rowsIn(arguments.range, tile);
    const auto* from = gradientsAt<GradientBits>(gradients, tile.firstElement());
    auto* momenta = static_cast<MomentumBits*>(tile.entry.numbers) + tile.firstElement();
    typename G::template PerLane<uint32_t> negative = {};
    typename G::template PerLane<uint32_t> positive = {};
    SIGNCCL_KEEP_LOOP
    for (uint32_t row = rows.begin; row < rows.end; row += kRowsAtOnce) {
      typename G::template PerLane<Signs> signs;
      G::each([&](int lane) {
        const uint32_t first = row * kLanes + static_cast<uint32_t>(lane);
        signs[lane] = updateElements<G>(betas, from, momenta, first, rows.end_element);
      });
      SIGNCCL_UNROLL
      for (int r = 0; r < kRowsAtOnce; ++r) {
        typename G::template PerLane<bool> is_negative;
        typename G::template PerLane<bool> is_positive;
        G::each([&](int lane) {
          is_negative[lane] = (signs[lane].negative >> r & 1) != 0;
          is_positive[lane] = (signs[lane].positive >> r & 1) != 0;
        });
        const uint32_t row_negative = G::ballot(is_negative);
        const uint32_t row_positive = kTernary ? G::ballot(is_positive) : 0;
        G::each([&](int lane) {
          if (static_cast<uint32_t>(lane) != row + static_cast<uint32_t>(r)) return;
          negative[lane] = row_negative;
          positive[lane] = row_positive;
        });
      }
    }
    G::each([&](int lane) {
      const auto row = static_cast<uint32_t>(lane);
      if (row < rows.begin || row >= rows.end) return;
      const size_t half = tile.firstHalf() + row;
      const uint32_t counted = row * 32 < rows.end_element ? lowMask(rows.end_element - row * 32) : 0;
      G::store(halves(arguments.nonnegative) + half, ~negative[lane] & counted);
      if constexpr (kTernary) G::store(halves(arguments.positive) + half, positive[lane] & counted);
    });
  }

  /// What one lane does in kRowsAtOnce rows: elements `first`, first + 32 and so on, of those below `end`. Bit r is the
  /// sign of the element in row r.
  template <typename G>
  SIGNCCL_WORD_OP static Signs updateElements(const LionBetas& betas, const GradientBits* gradients,
                                              MomentumBits* momenta, uint32_t first, uint32_t end) {
    GradientBits g[kRowsAtOnce] = {};
    MomentumBits m[kRowsAtOnce] = {};
    SIGNCCL_UNROLL
    for (uint32_t r = 0; r < kRowsAtOnce; ++r) {
      const uint32_t e = first + r * kLanes;
      if (e >= end) continue;
      if (gradients != nullptr) g[r] = G::loadOnce(gradients + e);
      m[r] = G::loadOnce(momenta + e);
    }
    Signs signs = {};
    SIGNCCL_UNROLL
    for (uint32_t r = 0; r < kRowsAtOnce; ++r) {
      const uint32_t e = first + r * kLanes;
      const float next = update<G>(betas, g[r], m[r], static_cast<int>(r), signs);
      if (e < end) G::storeOnce(momenta + e, static_cast<MomentumBits>(Momenta::template narrow<G>(next)));
    }
    return signs;
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LION_ENCODE_H_
