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

/// How parameters are written: narrow<G>(x, random) gives the pattern of x, narrowWord<G>(x, random) the word of some.
/// `random` has 16 bits for each number, which count if kIsRandom.
template <FloatType kType>
struct ToNearest {
  using Parameters = NumbersOf<kType>;
  static constexpr bool kIsRandom = false;
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrow(float x, uint32_t) {
    return Parameters::template narrow<G>(x);
  }
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrowWord(const float* x, uint32_t) {
    return Parameters::template narrowWord<G>(x);
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
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrowWord(const float* x, uint32_t random) {
    const uint32_t low = G::addLower(G::pattern(x[0]), random);
    const uint32_t high = G::pattern(x[1]) + (random >> 16);
    return G::bytes(low, high, 0x7632);
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
      if (tile.is_whole && isAlignedToQuads(tile.entry.numbers)) {
        wholeTile<G>(arguments, tile, rule);
      } else {
        anyTile<G>(arguments, tile, rule);
      }
    });
  }

 private:
  using Parameters = typename Rounding::Parameters;
  using Bits = typename Parameters::Bits;
  static constexpr int kMaxPlanes = Directions::kMaxPlanes;

  static constexpr int kInWord = Parameters::kInWord;
  /// A row of a tile is 16 bytes of parameters in every lane.
  static constexpr int kInRow = 4 * kInWord;
  /// A lane does its 32 elements in two parts. The loads of all rows of a part are under way at once.
  static constexpr int kParts = 2;
  static constexpr int kRowsAtOnce = 32 / kInRow / kParts;

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
    typename G::template PerLane<uint32_t> planes[kMaxPlanes] = {};
    loadPlanes<G>(arguments, tile, planes);
    // No loop: that takes more operations, and for averages not fewer registers.
    SIGNCCL_UNROLL
    for (int part = 0; part < kParts; ++part) {
      G::each([&](int lane) {
        uint32_t words[kMaxPlanes];
        SIGNCCL_UNROLL
        for (int j = 0; j < kMaxPlanes; ++j) words[j] = planes[j][lane];
        uint32_t parts[Directions::kPartWords];
        Directions::template from<G>(words, part, parts);
        const int row = part * kRowsAtOnce;
        Rule<G> part_rule = rule;
        part_rule.random.multiple += (beginOfRow(row) + static_cast<uint32_t>(lane)) * (kInWord * kTieStep);
        stepPart<G>(arguments, parts, part_rule, firstQuad<G>(tile, lane) + beginOfRow(row));
      });
    }
  }

  /// A lane's parameters in row 0. Of sums of pointers the compiler would take out a factor, and need more operations.
  template <typename G>
  SIGNCCL_WORD_OP static Quad* firstQuad(const TensorTile& tile, int lane) {
    const uint64_t tensor = reinterpret_cast<uintptr_t>(tile.entry.numbers);
    const uint64_t begin = tensor + G::multiplyWide(tile.number, kTileElements * sizeof(Bits));
    return reinterpret_cast<Quad*>(begin + G::multiplyWide(static_cast<uint32_t>(lane), sizeof(Quad)));
  }

  /// The words of the planes, prepared, where the lanes have the parameters that belong to them.
  template <typename G>
  SIGNCCL_WORD_OP static void loadPlanes(const Arguments& arguments, const TensorTile& tile,
                                         typename G::template PerLane<uint32_t>* planes) {
    G::each([&](int lane) {
      const auto word = static_cast<uint32_t>(wordOfLane<kInRow>(lane));
      const uint32_t* at = Directions::plane(arguments, 0) + (tile.firstHalf() + word);
      SIGNCCL_UNROLL
      for (int j = 0; j < kMaxPlanes; ++j) {
        if (j > 0) at += Directions::stride(arguments);
        if (j < Directions::nplanes(arguments)) planes[j][lane] = G::load(at);
      }
    });
    // To ask whether a plane is there takes longer.
    SIGNCCL_UNROLL
    for (int j = 0; j < kMaxPlanes; ++j) transposeItems<G, kInRow>(planes[j]);
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
  SIGNCCL_WORD_OP static void stepPart(const Arguments& arguments, const uint32_t* parts, const Rule<G>& rule,
                                       Quad* parameters) {
    Quad x[kRowsAtOnce];
    SIGNCCL_UNROLL
    for (int r = 0; r < kRowsAtOnce; ++r) x[r] = G::loadOnce(parameters + beginOfRow(r));
    SIGNCCL_UNROLL
    for (int r = 0; r < kRowsAtOnce; ++r) {
      float next[kInRow];
      SIGNCCL_UNROLL
      for (int k = 0; k < kInRow; ++k) {
        next[k] = rule(Parameters::get(x[r].words, k), Directions::template at<G>(arguments, parts, kInRow * r + k));
      }
      SIGNCCL_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int k = i * kInWord;
        const uint64_t random = rule.random.template at<G>(static_cast<uint64_t>(r * kLanes * kInWord + k / 4));
        const auto random_bits = static_cast<uint32_t>(random >> (16 * (k % 4)));
        x[r].words[i] = Rounding::template narrowWord<G>(next + k, random_bits);
      }
    }
    SIGNCCL_UNROLL
    for (int r = 0; r < kRowsAtOnce; ++r) G::storeOnce(parameters + beginOfRow(r), x[r]);
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
