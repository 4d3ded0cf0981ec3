// Gradients and momenta -> sign words, and the new momenta in the same pass; Kernels::encodeLion() for many tensors.
#ifndef SIGNCCL_KERNELS_LANES_LION_ENCODE_H_
#define SIGNCCL_KERNELS_LANES_LION_ENCODE_H_

#include "kernels/device/lion_arguments.h"
#include "kernels/lanes/lion_numbers.h"
#include "kernels/lanes/tensor_tiles.h"
#include "kernels/lion_ops.h"

namespace signccl::lanes {

/// Both types are read four numbers at a time by every lane, so that every access of the warp is contiguous.
template <FloatType kGradient, FloatType kMomentum, bool kTernary>
struct LionEncodeBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const LionEncodeArguments& arguments, WarpIndex warp) {
    forEachTensorTile<G>(arguments.table, arguments.range, arguments.status, warp, [&](const TensorTile& tile) {
      const void* gradients = G::load(arguments.gradients + tile.tensor);
      const LionBetas betas = G::load(arguments.table.groups + tile.entry.group).betas;
      if (tile.isWholeIn(arguments.range) && isAlignedTo<GradientFour>(gradients) &&
          isAlignedTo<MomentumFour>(tile.entry.numbers)) {
        wholeTile<G>(arguments, tile, gradients, betas);
      } else {
        anyTile<G>(arguments, tile, gradients, betas);
      }
    });
  }

 private:
  using Gradients = NumbersOf<kGradient>;
  using Momenta = NumbersOf<kMomentum>;
  using GradientFour = typename Gradients::Four;
  using MomentumFour = typename Momenta::Four;

  /// Rows whose loads are under way at once.
  static constexpr int kRowsAtOnce = 4;

  /// The sign of u, and m'.
  struct Updated {
    bool is_negative;
    bool is_positive;
    float momentum;
  };

  template <typename G>
  SIGNCCL_WORD_OP static Updated update(const LionBetas& betas, uint32_t gradient, uint32_t momentum) {
    using Float = LaneFloat<G>;
    const Float g{Gradients::template widen<G>(gradient)};
    const Float m{Momenta::template widen<G>(momentum)};
    const float u = lionMix(Float{betas.beta1}, m, Float{betas.one_minus_beta1}, g).x;
    const float next = lionMix(Float{betas.beta2}, m, Float{betas.one_minus_beta2}, g).x;
    return {u < 0, u > 0, next};
  }

  template <typename G>
  SIGNCCL_WORD_OP static void wholeTile(const LionEncodeArguments& arguments, const TensorTile& tile,
                                        const void* gradients, const LionBetas& betas) {
    constexpr int kRows = kTileElements / (4 * kLanes);
    const size_t first = tile.firstElement() / 4;
    const auto* from = static_cast<const GradientFour*>(gradients) + first;
    auto* momenta = static_cast<MomentumFour*>(tile.entry.numbers) + first;
    typename G::template PerLane<uint32_t> negative;
    typename G::template PerLane<uint32_t> positive;
    G::each([&](int lane) {
      negative[lane] = 0;
      positive[lane] = 0;
    });
    SIGNCCL_KEEP_LOOP
    for (int begin = 0; begin < kRows; begin += kRowsAtOnce) {
      G::each([&](int lane) {
        GradientFour g[kRowsAtOnce] = {};
        MomentumFour m[kRowsAtOnce];
        const auto* lane_from = from + begin * kLanes + lane;
        auto* lane_momenta = momenta + begin * kLanes + lane;
        uint32_t batch_negative = 0;
        uint32_t batch_positive = 0;
        if (gradients != nullptr) {
          SIGNCCL_UNROLL
          for (int r = 0; r < kRowsAtOnce; ++r) g[r] = G::loadOnce(lane_from + r * kLanes);
        }
        SIGNCCL_UNROLL
        for (int r = 0; r < kRowsAtOnce; ++r) m[r] = G::loadOnce(lane_momenta + r * kLanes);
        Rows<kRowsAtOnce> next;
        SIGNCCL_UNROLL
        for (int r = 0; r < kRowsAtOnce; ++r) {
          SIGNCCL_UNROLL
          for (int k = 0; k < 4; ++k) {
            const Updated updated = update<G>(betas, Gradients::get(g[r], k), Momenta::get(m[r], k));
            next.numbers[r][k] = updated.momentum;
            const uint32_t bit = uint32_t{1} << (r * 4 + k);
            if (updated.is_negative) batch_negative |= bit;
            if (kTernary && updated.is_positive) batch_positive |= bit;
          }
        }
        Momenta::template narrowRows<G>(next, m);
        SIGNCCL_UNROLL
        for (int r = 0; r < kRowsAtOnce; ++r) G::storeOnce(lane_momenta + r * kLanes, m[r]);
        negative[lane] |= batch_negative << (4 * begin);
        positive[lane] |= batch_positive << (4 * begin);
      });
    }
    transposeItems<G, 4>(negative);
    if constexpr (kTernary) transposeItems<G, 4>(positive);
    G::each([&](int lane) {
      const size_t half = tile.firstHalf(arguments.range) + static_cast<size_t>(wordOfLane<4>(lane));
      G::store(halves(arguments.nonnegative) + half, ~negative[lane]);
      if constexpr (kTernary) G::store(halves(arguments.positive) + half, positive[lane]);
    });
  }

  /// Elements one by one: the end of a tensor or of the range, or a buffer that is aligned to its elements only.
  template <typename G>
  SIGNCCL_WORD_OP static void anyTile(const LionEncodeArguments& arguments, const TensorTile& tile,
                                      const void* gradients, const LionBetas& betas) {
    using GradientBits = typename Gradients::Bits;
    using MomentumBits = typename Momenta::Bits;
    const auto* from = static_cast<const GradientBits*>(gradients) + tile.firstElement();
    auto* momenta = static_cast<MomentumBits*>(tile.entry.numbers) + tile.firstElement();
    const TileRows rows = rowsIn(arguments.range, tile);
    typename G::template PerLane<uint32_t> nonnegative;
    typename G::template PerLane<uint32_t> positive;
    SIGNCCL_KEEP_LOOP
    for (uint32_t row = rows.begin; row < rows.end; row += kRowsAtOnce) {
      typename G::template PerLane<bool> is_nonnegative[kRowsAtOnce];
      typename G::template PerLane<bool> is_positive[kRowsAtOnce];
      G::each([&](int lane) {
        GradientBits g[kRowsAtOnce] = {};
        MomentumBits m[kRowsAtOnce] = {};
        const uint32_t first = row * kLanes + static_cast<uint32_t>(lane);
        SIGNCCL_UNROLL
        for (int r = 0; r < kRowsAtOnce; ++r) {
          const uint32_t e = first + static_cast<uint32_t>(r * kLanes);
          if (e >= rows.end_element) continue;
          if (gradients != nullptr) g[r] = G::loadOnce(from + e);
          m[r] = G::loadOnce(momenta + e);
        }
        SIGNCCL_UNROLL
        for (int r = 0; r < kRowsAtOnce; ++r) {
          const uint32_t e = first + static_cast<uint32_t>(r * kLanes);
          const bool is_there = e < rows.end_element;
          const Updated updated = update<G>(betas, g[r], m[r]);
          is_nonnegative[r][lane] = is_there && !updated.is_negative;
          is_positive[r][lane] = is_there && updated.is_positive;
          if (is_there)
            G::storeOnce(momenta + e, static_cast<MomentumBits>(Momenta::template narrow<G>(updated.momentum)));
        }
      });
      SIGNCCL_UNROLL
      for (int r = 0; r < kRowsAtOnce; ++r) {
        const uint32_t row_nonnegative = G::ballot(is_nonnegative[r]);
        const uint32_t row_positive = kTernary ? G::ballot(is_positive[r]) : 0;
        G::each([&](int lane) {
          if (static_cast<uint32_t>(lane) != row + static_cast<uint32_t>(r)) return;
          nonnegative[lane] = row_nonnegative;
          positive[lane] = row_positive;
        });
      }
    }
    G::each([&](int lane) {
      const auto row = static_cast<uint32_t>(lane);
      if (row < rows.begin || row >= rows.end) return;
      const size_t half = tile.firstHalf(arguments.range) + row;
      G::store(halves(arguments.nonnegative) + half, nonnegative[lane]);
      if constexpr (kTernary) G::store(halves(arguments.positive) + half, positive[lane]);
    });
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LION_ENCODE_H_
