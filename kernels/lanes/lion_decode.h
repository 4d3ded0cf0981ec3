// SPDX-License-Identifier: Apache-2.0
// Result planes -> parameters a step further; Kernels::decodeVoteLion() and decodeAvgLion() for many tensors.
#ifndef SIGNCCL_KERNELS_LANES_LION_DECODE_H_
#define SIGNCCL_KERNELS_LANES_LION_DECODE_H_

#include "kernels/device/lion_arguments.h"
#include "kernels/lanes/lion_directions.h"
#include "kernels/lanes/lion_numbers.h"
#include "kernels/lanes/lion_random.h"
#include "kernels/lanes/lion_rows.h"
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
      if (!tile.is_whole) {
        anyTile<G>(arguments, tile, rule);
      } else if (isAlignedToQuads(tile.entry.numbers)) {
        wholeTile<G, kInQuad>(arguments, tile, rule);
      } else {
        wholeTile<G, 1>(arguments, tile, rule);
      }
    });
  }

 private:
  using Parameters = typename Rounding::Parameters;
  using Bits = typename Parameters::Bits;
  static constexpr int kMaxPlanes = Directions::kMaxPlanes;

  using Random = TileRandom<Rounding::kIsRandom>;
  static constexpr int kInWord = Parameters::kInWord;
  /// Parameters in 16 bytes.
  static constexpr int kInQuad = 4 * kInWord;
  /// A lane does its 32 elements in two parts. The loads of all rows of a part are under way at once.
  static constexpr int kParts = 2;
  static constexpr int kAtOnce = 32 / kParts;

  template <int kInRow>
  using Rows = LaneRows<Parameters, kInRow, kAtOnce / kInRow>;
  template <int kInRow>
  using Access = typename Rows<kInRow>::Access;

  template <typename G>
  SIGNCCL_WORD_OP static Random randomOf(const LionStepArguments& step, const TensorTile& tile) {
    if constexpr (!Rounding::kIsRandom) return {};
    return {G::load(step.rounding_key), tile.first_word * (kWordBits / 4 * kTieStep)};
  }

  /// What x' depends on beside x and D.
  template <typename G>
  struct Rule {
    LaneFloat<G> learning_rate;
    LaneFloat<G> weight_decay;
    Random random;

    SIGNCCL_WORD_OP float operator()(uint32_t parameter, float direction) const {
      const LaneFloat<G> x{Parameters::template widen<G>(parameter)};
      return lionStep(x, LaneFloat<G>{direction}, learning_rate, weight_decay).x;
    }
  };

  /// kInRow: how many neighbouring parameters a lane has in a row of the tile.
  template <typename G, int kInRow>
  SIGNCCL_WORD_OP static void wholeTile(const Arguments& arguments, const TensorTile& tile, const Rule<G>& rule) {
    typename G::template PerLane<uint32_t> planes[kMaxPlanes] = {};
    loadPlanes<G, kInRow>(arguments, tile, planes);
    // No loop: that takes more operations, and for averages not fewer registers.
    SIGNCCL_UNROLL
    for (int part = 0; part < kParts; ++part) {
      const int row = part * (kAtOnce / kInRow);
      typename G::template PerLane<uint32_t> random[kAtOnce / kInWord] = {};
      if constexpr (Rounding::kIsRandom && kInRow == 1) drawForRows<G, kAtOnce>(rule.random, row, random);
      G::each([&](int lane) {
        uint32_t words[kMaxPlanes];
        SIGNCCL_UNROLL
        for (int j = 0; j < kMaxPlanes; ++j) words[j] = planes[j][lane];
        uint32_t parts[Directions::kPartWords];
        Directions::template from<G>(words, part, parts);
        auto* parameters = firstRow<G, kInRow>(tile, lane) + beginOfRow(row);
        if constexpr (kInRow == 1) {
          stepPart<G, kInRow>(arguments, parts, rule, parameters, [&](int word) { return random[word][lane]; });
        } else {
          const Random own = rule.random.from((beginOfRow(row) + static_cast<uint32_t>(lane)) * kInWord);
          stepPart<G, kInRow>(arguments, parts, rule, parameters, [&](int word) { return bitsOfWord<G>(own, word); });
        }
      });
    }
  }

  /// The random bits of word `word` of a lane's parameters that lie in rows of 16 bytes.
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t bitsOfWord(const Random& random, int word) {
    const int e = word * kInWord;
    const auto number = static_cast<uint64_t>(e / kInQuad * kLanes * kInWord + e % kInQuad / 4);
    return static_cast<uint32_t>(random.template at<G>(number) >> (16 * (e % 4)));
  }

  /// A lane's parameters in row 0. Of sums of pointers the compiler would take out a factor, and need more operations.
  template <typename G, int kInRow>
  SIGNCCL_WORD_OP static Access<kInRow>* firstRow(const TensorTile& tile, int lane) {
    const uint64_t tensor = reinterpret_cast<uintptr_t>(tile.entry.numbers);
    const uint64_t begin = tensor + G::multiplyWide(tile.number, kTileElements * sizeof(Bits));
    return reinterpret_cast<Access<kInRow>*>(begin +
                                             G::multiplyWide(static_cast<uint32_t>(lane), sizeof(Access<kInRow>)));
  }

  /// The words of the planes, prepared, where the lanes have the parameters that belong to them.
  template <typename G, int kInRow>
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

  /// What one lane does with kAtOnce elements, the first row of which is at the address. random(word): the bits for the
  /// parameters that are word `word`.
  template <typename G, int kInRow, typename RandomBits>
  SIGNCCL_WORD_OP static void stepPart(const Arguments& arguments, const uint32_t* parts, const Rule<G>& rule,
                                       Access<kInRow>* parameters, const RandomBits& random) {
    Rows<kInRow> x;
    x.template load<G>(parameters);
    SIGNCCL_UNROLL
    for (int word = 0; word < kAtOnce / kInWord; ++word) {
      float next[kInWord];
      SIGNCCL_UNROLL
      for (int k = 0; k < kInWord; ++k) {
        const int e = word * kInWord + k;
        next[k] = rule(x.get(e), Directions::template at<G>(arguments, parts, e));
      }
      x.setWord(word, Rounding::template narrowWord<G>(next, random(word)));
    }
    x.template store<G>(parameters);
  }

  /// Elements one by one: the end of a tensor or of the range.
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
