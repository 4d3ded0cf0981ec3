// SPDX-License-Identifier: Apache-2.0
// Result planes -> parameters a step further; Kernels::decodeVoteLion() and decodeAvgLion() for many tensors.
#ifndef SIGNCCL_KERNELS_LANES_LION_DECODE_H_
#define SIGNCCL_KERNELS_LANES_LION_DECODE_H_

#include "kernels/device/lion_arguments.h"
#include "kernels/lanes/lane_random.h"
#include "kernels/lanes/lion_directions.h"
#include "kernels/lanes/lion_numbers.h"
#include "kernels/lanes/tensor_tiles.h"
#include "kernels/lion_ops.h"

namespace signccl::lanes {

/// How parameters are written: narrow<G>(x, random) gives the pattern of x, narrowRows<G>(x, random, fours) those of
/// rows. `random` has 16 bits for each number, which count if kIsRandom.
template <FloatType kType>
struct ToNearest {
  using Parameters = NumbersOf<kType>;
  static constexpr bool kIsRandom = false;
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrow(float x, uint32_t) {
    return Parameters::template narrow<G>(x);
  }
  template <typename G, int kRows>
  SIGNCCL_WORD_OP static void narrowRows(const Rows<kRows>& x, const uint64_t*, typename Parameters::Four* fours) {
    Parameters::template narrowRows<G>(x, fours);
  }
};

/// LionRounding::is_stochastic, of bfloat16.
struct ByChance {
  using Parameters = NumbersOf<FloatType::kBFloat16>;
  static constexpr bool kIsRandom = true;
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrow(float x, uint32_t random) {
    return (G::pattern(x) + random) >> 16;
  }
  template <typename G, int kRows>
  SIGNCCL_WORD_OP static void narrowRows(const Rows<kRows>& x, const uint64_t* random, Duo* fours) {
    SIGNCCL_UNROLL
    for (int r = 0; r < kRows; ++r) {
      SIGNCCL_UNROLL
      for (int k = 0; k < 2; ++k) {
        const auto two = static_cast<uint32_t>(random[r] >> (32 * k));
        const uint32_t low = G::addLower(G::pattern(x.numbers[r][2 * k]), two);
        const uint32_t high = G::pattern(x.numbers[r][2 * k + 1]) + (two >> 16);
        fours[r].words[k] = G::bytes(low, high, 0x7632);
      }
    }
  }
};

template <typename Directions, typename Rounding>
struct LionDecodeBody {
  using Arguments = typename Directions::Arguments;

  template <typename G>
  SIGNCCL_WORD_OP static void run(const Arguments& arguments, WarpIndex warp) {
    const LionStepArguments& step = arguments.step;
    if (hasFailed<G>(step.veto)) return;
    forEachTensorTile<G>(step.table, step.range, step.status, warp, [&](const TensorTile& tile) {
      const LionHyperparameters group = G::load(step.table.groups + tile.entry.group);
      const Rule<G> rule{{group.learning_rate}, {group.weight_decay}, randomOf<G>(step, tile)};
      if (tile.is_whole && isAlignedTo<Four>(tile.entry.numbers)) {
        wholeTile<G>(arguments, tile, rule);
      } else {
        anyTile<G>(arguments, tile, rule);
      }
    });
  }

 private:
  using Parameters = typename Rounding::Parameters;
  using Four = typename Parameters::Four;
  using Bits = typename Parameters::Bits;
  static constexpr int kMaxPlanes = Directions::kMaxPlanes;

  /// Rows whose loads are under way at once.
  static constexpr int kRowsAtOnce = 4;

  /// The random words of a tile, one for every four elements.
  struct RandomWords {
    uint64_t key;
    uint64_t multiple;  ///< of the number of the first one, as in randomWord()
    template <typename G>
    SIGNCCL_WORD_OP uint64_t at(uint64_t number) const {
      return Rounding::kIsRandom ? randomWord<G>(key, multiple + number * kTieStep) : 0;
    }
  };

  template <typename G>
  SIGNCCL_WORD_OP static RandomWords randomOf(const LionStepArguments& step, const TensorTile& tile) {
    if constexpr (!Rounding::kIsRandom) return {};
    return {G::load(step.rounding_key), tile.first_word * (kWordBits / 4 * kTieStep)};
  }

  /// What x' depends on beside x and D.
  template <typename G>
  struct Rule {
    LaneFloat<G> learning_rate;
    LaneFloat<G> weight_decay;
    RandomWords random;

    SIGNCCL_WORD_OP float operator()(uint32_t parameter, float direction) const {
      const LaneFloat<G> x{Parameters::template widen<G>(parameter)};
      return lionStep(x, LaneFloat<G>{direction}, learning_rate, weight_decay).x;
    }
  };

  template <typename G>
  SIGNCCL_WORD_OP static void wholeTile(const Arguments& arguments, const TensorTile& tile, Rule<G> rule) {
    constexpr int kRows = static_cast<int>(kTileElements) / (4 * kLanes);
    auto* parameters = static_cast<Four*>(tile.entry.numbers) + tile.firstElement() / 4;
    typename G::template PerLane<uint32_t> planes[kMaxPlanes] = {};
    loadPlanes<G>(arguments, tile, planes);
    typename G::template PerLane<Four*> at;
    typename G::template PerLane<uint64_t> multiples;
    G::each([&](int lane) {
      const auto number = static_cast<uint32_t>(lane);
      at[lane] = parameters + number;
      multiples[lane] = rule.random.multiple + number * kTieStep;
    });
    SIGNCCL_KEEP_LOOP
    for (int row = 0; row < kRows; row += kRowsAtOnce) {
      G::each([&](int lane) {
        uint32_t words[kMaxPlanes];
        SIGNCCL_UNROLL
        for (int j = 0; j < kMaxPlanes; ++j) words[j] = planes[j][lane];
        uint32_t rows[Directions::kRowWords];
        Directions::template from<G>(words, row, rows);
        Rule<G> rows_rule = rule;
        rows_rule.random.multiple = multiples[lane];
        multiples[lane] += kTieStep * kRowsAtOnce * kLanes;
        stepRows<G>(arguments, rows, rows_rule, at[lane] + static_cast<size_t>(row) * kLanes);
      });
    }
  }

  /// The words of the planes, prepared, where the lanes have the parameters that belong to them.
  template <typename G>
  SIGNCCL_WORD_OP static void loadPlanes(const Arguments& arguments, const TensorTile& tile,
                                         typename G::template PerLane<uint32_t>* planes) {
    G::each([&](int lane) {
      const size_t half = tile.firstHalf() + static_cast<uint32_t>(wordOfLane<4>(lane));
      const uint32_t* at = Directions::plane(arguments, 0) + half;
      SIGNCCL_UNROLL
      for (int j = 0; j < kMaxPlanes; ++j) {
        if (j > 0) at = Directions::next(arguments, at, half);
        if (j < Directions::nplanes(arguments)) planes[j][lane] = G::load(at);
      }
    });
    // To ask whether a plane is there takes longer.
    SIGNCCL_UNROLL
    for (int j = 0; j < kMaxPlanes; ++j) transposeItems<G, 4>(planes[j]);
    G::each([&](int lane) {
      uint32_t words[kMaxPlanes];
      SIGNCCL_UNROLL
      for (int j = 0; j < kMaxPlanes; ++j) words[j] = planes[j][lane];
      Directions::template prepare<G>(arguments, words);
      SIGNCCL_UNROLL
      for (int j = 0; j < kMaxPlanes; ++j) planes[j][lane] = words[j];
    });
  }

  /// What one lane does in kRowsAtOnce rows, the first of which is at the address.
  template <typename G>
  SIGNCCL_WORD_OP static void stepRows(const Arguments& arguments, const uint32_t* rows, const Rule<G>& rule,
                                       Four* parameters) {
    Four x[kRowsAtOnce];
    SIGNCCL_UNROLL
    for (int r = 0; r < kRowsAtOnce; ++r) x[r] = G::loadOnce(parameters + r * kLanes);
    Rows<kRowsAtOnce> next;
    uint64_t random[kRowsAtOnce];
    SIGNCCL_UNROLL
    for (int r = 0; r < kRowsAtOnce; ++r) {
      SIGNCCL_UNROLL
      for (int k = 0; k < 4; ++k) {
        next.numbers[r][k] = rule(Parameters::get(x[r], k), Directions::template at<G>(arguments, rows, r, k));
      }
      random[r] = rule.random.template at<G>(static_cast<uint64_t>(r * kLanes));
    }
    Rounding::template narrowRows<G>(next, random, x);
    SIGNCCL_UNROLL
    for (int r = 0; r < kRowsAtOnce; ++r) G::storeOnce(parameters + r * kLanes, x[r]);
  }

  /// Elements one by one: the end of a tensor or of the range, or parameters that are aligned to their elements only.
  template <typename G>
  SIGNCCL_WORD_OP static void anyTile(const Arguments& arguments, const TensorTile& tile, const Rule<G>& rule) {
    const TileRows rows = rowsIn(arguments.step.range, tile);
    auto* parameters = static_cast<Bits*>(tile.entry.numbers) + tile.firstElement();
    G::each([&](int lane) {
      SIGNCCL_KEEP_LOOP
      for (uint32_t row = rows.begin; row < rows.end; ++row) {
        const uint32_t e = row * kLanes + static_cast<uint32_t>(lane);
        if (e >= rows.end_element) break;
        uint32_t words[kMaxPlanes] = {};
        SIGNCCL_UNROLL
        for (int j = 0; j < kMaxPlanes; ++j) {
          if (j >= Directions::nplanes(arguments)) break;
          words[j] = G::load(Directions::plane(arguments, j) + (tile.firstHalf() + row));
        }
        const float direction = Directions::template one<G>(arguments, words, static_cast<uint32_t>(lane));
        const float next = rule(G::loadOnce(parameters + e), direction);
        const auto random = static_cast<uint32_t>(rule.random.template at<G>(e / 4) >> (16 * (e % 4))) & 0xFFFF;
        G::storeOnce(parameters + e, static_cast<Bits>(Rounding::template narrow<G>(next, random)));
      }
    });
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LION_DECODE_H_
