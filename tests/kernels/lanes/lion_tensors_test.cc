// SPDX-License-Identifier: Apache-2.0
// The Lion kernels of a GPU over lists of many tensors, against the reference called for one tensor after the other.
#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/device/lion_tables.h"
#include "kernels/emulated_lion.h"
#include "kernels/random_ties.h"
#include "lion_list.h"

namespace signccl {
namespace {

using emulated::LionEncodeTypes;
using emulated::LionStepTypes;

const uint64_t kKey = tieKey(3);
/// As many as take a kernel through all of its ways to look up a mean.
constexpr int kMaxPlanesTested = 10;
constexpr int kMostPlanes = 16;
constexpr int kRounds = kCoarseGrid ? 2 : 8;

/// Three groups with hyperparameters of their own.
const std::vector<LionHyperparameters>& groups() {
  static const std::vector<LionHyperparameters> groups{
      {{0.9F, 0.1F, 0.99F, 0.01F}, 1e-3F, 0.1F}, {{0.5F, 0.5F, 0.25F, 0.75F}, 0.25F, 0}, {{-1, 1, 1, -1}, -2, 1}};
  return groups;
}

/// A launch: which words, by how many blocks, and whether a word of status forbids it.
struct Launch {
  uint64_t begin = 0;
  uint64_t end = 0;
  size_t nblocks = 3;
  size_t gradient_offset = 0;  ///< elements by which gradients are further behind 16 bytes than momenta
  const uint32_t* status = nullptr;
  const uint32_t* veto = nullptr;  ///< of kernels that change parameters

  [[nodiscard]] bool isForbidden() const {
    return (status != nullptr && *status != 0) || (veto != nullptr && *veto != 0);
  }
};

std::ostream& operator<<(std::ostream& out, const Launch& launch) {
  return out << "words " << launch.begin << " to " << launch.end << ", " << launch.nblocks
             << " blocks, gradients shifted by " << launch.gradient_offset;
}

/// The table of a list whose numbers lie in a buffer.
class TestTable {
 public:
  TestTable(const LionList& list, FloatType type, TestBuffer& buffer)
      : entries_(list.entries(type, buffer)), first_tile_(list.size()) {
    layOutLionTiles(entries_, first_tile_);
  }
  [[nodiscard]] LionTable table() const {
    return {first_tile_.data(), entries_.data(), groups().data(), static_cast<uint32_t>(entries_.size())};
  }
  [[nodiscard]] LionRange range(const Launch& launch) const {
    return lionRangeOf(entries_, first_tile_, launch.begin, launch.end);
  }

 private:
  std::vector<LionEntry> entries_;
  std::vector<uint32_t> first_tile_;
};

/// What the reference does in a launch.
std::vector<TensorPart> partsOf(const LionList& list, const Launch& launch) {
  return launch.isForbidden() ? std::vector<TensorPart>{} : list.parts(launch.begin, launch.end);
}

Launch all(const LionList& list) { return {.begin = 0, .end = list.nwords()}; }

class LionTensorsTest : public ::testing::Test {
 protected:
  std::mt19937_64& random() { return random_; }
  uint64_t pick(uint64_t below) { return random_() % below; }

  void expectEncodes(const LionList& list, LionEncodeTypes types, bool is_ternary, const Launch& launch);
  void expectVotes(const LionList& list, LionStepTypes types, bool has_zeros, const Launch& launch);
  void expectMeans(const LionList& list, LionStepTypes types, int nplanes, const Launch& launch);

  /// All kinds of kernels, with types that differ from call to call.
  void expectAllEqual(const LionList& list, const Launch& launch) {
    const auto type = [&] { return kFloatTypes[pick(3)]; };
    const auto step_types = [&]() -> LionStepTypes {
      const bool is_stochastic = pick(4) == 0;
      return {is_stochastic ? FloatType::kBFloat16 : type(), is_stochastic};
    };
    ASSERT_NO_FATAL_FAILURE(expectEncodes(list, {type(), type()}, pick(2) == 0, launch));
    ASSERT_NO_FATAL_FAILURE(expectVotes(list, step_types(), pick(2) == 0, launch));
    ASSERT_NO_FATAL_FAILURE(expectMeans(list, step_types(), static_cast<int>(pick(kMaxPlanesTested + 1)), launch));
  }

 private:
  std::mt19937_64 random_{20261126};
};

void LionTensorsTest::expectEncodes(const LionList& list, LionEncodeTypes types, bool is_ternary,
                                    const Launch& launch) {
  TestBuffer gradients(list.bytes(types.gradient), launch.gradient_offset * floatBytes(types.gradient));
  fillNumbers(types.gradient, random(), gradients.data(), list.elements());
  NumbersTwice momenta(types.momentum, random(), list.elements(), 0);
  const size_t plane_bytes = (launch.end - launch.begin) * sizeof(Word);
  std::array<TestBuffer, 2> expected{TestBuffer(plane_bytes), TestBuffer(plane_bytes)};
  std::array<TestBuffer, 2> signs{TestBuffer(plane_bytes), TestBuffer(plane_bytes)};
  for (const TensorPart& part : partsOf(list, launch)) {
    const ListedTensor& tensor = list[part.tensor];
    const uint64_t word = part.word - launch.begin;
    const LionMomenta lion{types.gradient, types.momentum,
                           tensor.has_gradients ? list.numbers(types.gradient, gradients, part) : nullptr,
                           list.numbers(types.momentum, momenta.first, part), groups()[tensor.group].betas};
    referenceKernels().encodeLion(lion, part.count, is_ternary ? expected[0].words() + word : nullptr,
                                  expected[1].words() + word);
  }
  std::vector<LionGradients> addresses(list.size());
  for (size_t t = 0; t < list.size(); ++t) {
    if (list[t].has_gradients) addresses[t].address = list.numbers(types.gradient, gradients, {.tensor = t});
  }
  const TestTable table(list, types.momentum, momenta.second);
  emulated::launch(types,
                   LionEncodeArguments{table.table(), table.range(launch), addresses.data(), launch.status,
                                       is_ternary ? signs[0].words() : nullptr, signs[1].words()},
                   launch.nblocks);
  ASSERT_TRUE(momenta.first == momenta.second)
      << launch << ", gradients " << typeName(types.gradient) << ", momenta " << typeName(types.momentum);
  ASSERT_TRUE(signs == expected) << launch << ", gradients " << typeName(types.gradient) << ", momenta "
                                 << typeName(types.momentum) << ", ternary " << is_ternary;
}

LionParameters parametersOf(const LionList& list, LionStepTypes types, TestBuffer& buffer, const TensorPart& part) {
  const LionHyperparameters& group = groups()[list[part.tensor].group];
  return {types.parameter,
          list.numbers(types.parameter, buffer, part),
          group.learning_rate,
          group.weight_decay,
          {types.is_stochastic, kKey, part.word * kWordBits}};
}

void LionTensorsTest::expectVotes(const LionList& list, LionStepTypes types, bool has_zeros, const Launch& launch) {
  NumbersTwice parameters(types.parameter, random(), list.elements(), 0);
  TestPlanes votes(2, launch.end - launch.begin);
  votes.fillRandom(random());
  for (const TensorPart& part : partsOf(list, launch)) {
    const uint64_t word = part.word - launch.begin;
    referenceKernels().decodeVoteLion(parametersOf(list, types, parameters.first, part), votes.plane(0) + word,
                                      has_zeros ? votes.plane(1) + word : nullptr, part.count);
  }
  const TestTable table(list, types.parameter, parameters.second);
  emulated::launch(types,
                   LionVoteArguments{{table.table(), table.range(launch), launch.status, &kKey, launch.veto},
                                     votes.plane(0),
                                     has_zeros ? votes.plane(1) : nullptr},
                   launch.nblocks);
  ASSERT_TRUE(parameters.first == parameters.second) << launch << ", " << typeName(types.parameter) << ", stochastic "
                                                     << types.is_stochastic << ", zeros " << has_zeros;
}

void LionTensorsTest::expectMeans(const LionList& list, LionStepTypes types, int nplanes, const Launch& launch) {
  NumbersTwice parameters(types.parameter, random(), list.elements(), 0);
  TestBuffer table_buffer(sizeof(float) << nplanes);
  fillNumbers(FloatType::kFloat32, random(), table_buffer.data(), size_t{1} << nplanes);
  const auto* means = reinterpret_cast<const float*>(table_buffer.data());
  TestPlanes counts(nplanes, launch.end - launch.begin);
  counts.fillRandom(random());
  for (const TensorPart& part : partsOf(list, launch)) {
    ConstPlanes planes = counts.view();
    planes.words += part.word - launch.begin;
    referenceKernels().decodeAvgLion(parametersOf(list, types, parameters.first, part), planes, means, part.count);
  }
  const TestTable table(list, types.parameter, parameters.second);
  const ConstPlanes planes = counts.view();
  emulated::launch(types,
                   LionAvgArguments{{table.table(), table.range(launch), launch.status, &kKey, launch.veto},
                                    planes.words,
                                    planes.stride,
                                    nplanes,
                                    means},
                   launch.nblocks);
  ASSERT_TRUE(parameters.first == parameters.second) << launch << ", " << typeName(types.parameter) << ", stochastic "
                                                     << types.is_stochastic << ", planes " << nplanes;
}

TEST_F(LionTensorsTest, EqualTheReferenceForFewTensorsOfEverySize) {
  for (const size_t ntensors : {0U, 1U, 31U, 32U, 33U}) {
    const LionList list(variousTensors(ntensors, countsAroundTiles(), groups().size(), random()));
    for (int round = 0; round < kRounds; ++round) ASSERT_NO_FATAL_FAILURE(expectAllEqual(list, all(list)));
  }
}

TEST_F(LionTensorsTest, EqualTheReferenceForManyTensors) {
  for (const size_t ntensors : {1024U, 1025U, 40000U}) {
    const LionList list(variousTensors(ntensors, {0, 0, 1, 2, 31, 63, 64, 65}, groups().size(), random()));
    ASSERT_NO_FATAL_FAILURE(expectAllEqual(list, all(list)));
  }
}

TEST_F(LionTensorsTest, EqualTheReferenceForAllTypes) {
  const LionList list(variousTensors(12, countsAroundTiles(), groups().size(), random()));
  for (const bool has_second_plane : {false, true}) {
    for (const FloatType type : kFloatTypes) {
      for (const FloatType gradient : kFloatTypes) {
        ASSERT_NO_FATAL_FAILURE(expectEncodes(list, {gradient, type}, has_second_plane, all(list)));
      }
      ASSERT_NO_FATAL_FAILURE(expectVotes(list, {type, false}, has_second_plane, all(list)));
    }
    ASSERT_NO_FATAL_FAILURE(expectVotes(list, {FloatType::kBFloat16, true}, has_second_plane, all(list)));
  }
}

TEST_F(LionTensorsTest, EqualTheReferenceForEveryAlignmentOfWholeTiles) {
  for (size_t offset = 0; offset < 8; ++offset) {
    const LionList list({{.count = 3000, .offset = offset}, {.count = 1024}, {.count = 1024, .offset = offset}});
    for (int round = 0; round < kRounds; ++round) ASSERT_NO_FATAL_FAILURE(expectAllEqual(list, all(list)));
  }
}

/// Tensors of several whole tiles, one of them without gradients and one with an end, that begin `offset` elements
/// behind a multiple of 16 bytes.
LionList tensorsAt(size_t offset) {
  return LionList({{.count = 2048, .offset = offset, .group = 1},
                   {.count = 2100, .offset = offset, .group = 2},
                   {.count = 1024, .offset = offset, .has_gradients = false}});
}

TEST_F(LionTensorsTest, EncodeEveryPairOfTypesAtEveryPairOfAlignments) {
  for (size_t offset = 0; offset < 8; ++offset) {
    const LionList list = tensorsAt(offset);
    for (size_t gradient_offset = 0; gradient_offset < 8; gradient_offset += kCoarseGrid ? 3 : 1) {
      Launch launch = all(list);
      launch.gradient_offset = gradient_offset;
      for (const FloatType gradient : kFloatTypes) {
        for (const FloatType momentum : kFloatTypes) {
          for (const bool is_ternary : {false, true}) {
            ASSERT_NO_FATAL_FAILURE(expectEncodes(list, {gradient, momentum}, is_ternary, launch));
          }
        }
      }
    }
  }
}

TEST_F(LionTensorsTest, DecodeEveryTypeAndRoundingAtEveryAlignment) {
  constexpr LionStepTypes kTypes[] = {{FloatType::kFloat32, false},
                                      {FloatType::kFloat16, false},
                                      {FloatType::kBFloat16, false},
                                      {FloatType::kBFloat16, true}};
  for (size_t offset = 0; offset < 8; ++offset) {
    const LionList list = tensorsAt(offset);
    for (const LionStepTypes types : kTypes) {
      for (const bool has_zeros : {false, true}) {
        ASSERT_NO_FATAL_FAILURE(expectVotes(list, types, has_zeros, all(list)));
      }
      for (int nplanes = 0; nplanes <= kMostPlanes; nplanes += kCoarseGrid ? 4 : 1) {
        ASSERT_NO_FATAL_FAILURE(expectMeans(list, types, nplanes, all(list)));
      }
    }
  }
}

TEST_F(LionTensorsTest, EqualTheReferenceForRangesThatBeginAndEndInsideTensors) {
  for (const size_t offset : {0U, 3U}) {
    const LionList list({{.count = 3000, .offset = offset, .group = 1},
                         {.count = 0},
                         {.count = 70, .group = 2, .has_gradients = false},
                         {.count = 2048, .offset = 2 * offset},
                         {.count = 1, .group = 1},
                         {.count = 0, .group = 2}});
    for (uint64_t begin = 0; begin <= list.nwords(); begin += kCoarseGrid ? 5 : 1) {
      for (uint64_t end = begin; end <= list.nwords(); end += 1 + pick(20)) {
        ASSERT_NO_FATAL_FAILURE(expectAllEqual(list, {.begin = begin, .end = end}));
      }
    }
  }
}

TEST_F(LionTensorsTest, LeaveTheWordsAloneThatBelongToOtherTables) {
  std::vector<ListedTensor> tensors = variousTensors(40, countsAroundTiles(), groups().size(), random());
  for (ListedTensor& tensor : tensors) tensor.words_before = pick(40);
  const LionList list(tensors);
  ASSERT_NO_FATAL_FAILURE(expectAllEqual(list, all(list)));
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t begin = pick(list.nwords());
    const Launch launch{.begin = begin, .end = begin + pick(list.nwords() - begin + 1)};
    ASSERT_NO_FATAL_FAILURE(expectAllEqual(list, launch));
  }
}

TEST_F(LionTensorsTest, DoNotDependOnTheNumberOfBlocks) {
  const LionList list(variousTensors(33, countsAroundTiles(), groups().size(), random()));
  for (const size_t nblocks : {1U, 2U, 7U, 200U}) {
    Launch launch = all(list);
    launch.nblocks = nblocks;
    ASSERT_NO_FATAL_FAILURE(expectAllEqual(list, launch));
  }
}

TEST_F(LionTensorsTest, WriteNothingIfTheStatusForbidsIt) {
  const LionList list(variousTensors(33, countsAroundTiles(), groups().size(), random()));
  for (const uint32_t status : {0U, 1U, 0x3F80'0000U, ~0U}) {
    Launch launch = all(list);
    launch.status = &status;
    for (int round = 0; round < kRounds; ++round) ASSERT_NO_FATAL_FAILURE(expectAllEqual(list, launch));
  }
}

TEST_F(LionTensorsTest, LeaveParametersAloneIfThereIsAVeto) {
  const LionList list(variousTensors(33, countsAroundTiles(), groups().size(), random()));
  for (const uint32_t veto : {0U, 1U, ~0U}) {
    Launch launch = all(list);
    launch.veto = &veto;
    ASSERT_NO_FATAL_FAILURE(expectVotes(list, {FloatType::kFloat32, false}, true, launch));
    ASSERT_NO_FATAL_FAILURE(expectMeans(list, {FloatType::kBFloat16, true}, 3, launch));
  }
}

}  // namespace
}  // namespace signccl
