// SPDX-License-Identifier: Apache-2.0
// decodeVoteLion and decodeAvgLion: every instance against the reference, bit for bit.
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/random_ties.h"
#include "lion_test_support.h"

namespace signccl {
namespace {

constexpr int kMaxTablePlanes = 16;

struct DecodeCase {
  FloatType type;
  bool is_stochastic = false;
  float learning_rate = 1e-3F;
  float weight_decay = 0.1F;
  size_t count = 0;
  size_t offset = 0;
};

std::ostream& operator<<(std::ostream& out, const DecodeCase& c) {
  return out << typeName(c.type) << (c.is_stochastic ? " stochastic" : "") << " at " << c.offset << ", count "
             << c.count << ", learning rate " << c.learning_rate << ", weight decay " << c.weight_decay;
}

std::vector<DecodeCase> typeCases() {
  std::vector<DecodeCase> cases;
  for (const FloatType type : kFloatTypes) cases.push_back({.type = type});
  cases.push_back({.type = FloatType::kBFloat16, .is_stochastic = true});
  return cases;
}

class LionDecodeTest : public KernelsTest {
 protected:
  static LionParameters parametersOf(const DecodeCase& c, TestBuffer& buffer) {
    const LionRounding rounding{c.is_stochastic, tieKey(5), 128};
    return {c.type, buffer.data(), c.learning_rate, c.weight_decay, rounding};
  }

  void expectVotesEqualToReference(const DecodeCase& c) {
    const size_t plane_bytes = elementBytes(ElementType::kBits, c.count);
    TestBuffer positive(plane_bytes), nonnegative(plane_bytes);
    positive.fillRandom(random());
    nonnegative.fillRandom(random());
    for (const Word* zeros : {static_cast<const Word*>(nullptr), static_cast<const Word*>(nonnegative.words())}) {
      NumbersTwice parameters(c.type, random(), c.count, c.offset);
      reference().decodeVoteLion(parametersOf(c, parameters.first), positive.words(), zeros, c.count);
      kernels().decodeVoteLion(parametersOf(c, parameters.second), positive.words(), zeros, c.count);
      ASSERT_TRUE(parameters.first == parameters.second) << c << ", zeros " << (zeros != nullptr);
    }
  }

  void expectMeansEqualToReference(const DecodeCase& c, int nplanes) {
    TestBuffer table(sizeof(float) << nplanes);
    fillNumbers(FloatType::kFloat32, random(), table.data(), size_t{1} << nplanes);
    const auto* means = reinterpret_cast<const float*>(table.data());
    TestPlanes counts(nplanes, wordsFor(c.count));
    counts.fillRandom(random());
    for (const bool lack_plane : {false, true}) {
      if (lack_plane && nplanes == 0) continue;
      const Counts given = lack_plane ? Counts(counts.view(nplanes - 1), counts.plane(nplanes - 1)) : counts.view();
      NumbersTwice parameters(c.type, random(), c.count, c.offset);
      reference().decodeAvgLion(parametersOf(c, parameters.first), given, means, c.count);
      kernels().decodeAvgLion(parametersOf(c, parameters.second), given, means, c.count);
      ASSERT_TRUE(parameters.first == parameters.second)
          << c << ", " << nplanes << " planes" << (lack_plane ? ", completed by own votes" : "");
    }
  }
};

TEST_P(LionDecodeTest, VotesEqualTheReferenceForEveryCount) {
  for (DecodeCase c : typeCases()) {
    for (const size_t count : lionCountGrid()) {
      c.count = count;
      ASSERT_NO_FATAL_FAILURE(expectVotesEqualToReference(c));
    }
  }
}

TEST_P(LionDecodeTest, MeansEqualTheReferenceForEveryCount) {
  for (DecodeCase c : typeCases()) {
    for (const size_t count : lionCountGrid()) {
      c.count = count;
      for (const int nplanes : {3, 9}) ASSERT_NO_FATAL_FAILURE(expectMeansEqualToReference(c, nplanes));
    }
  }
}

TEST_P(LionDecodeTest, MeansEqualTheReferenceForEveryNumberOfPlanes) {
  for (DecodeCase c : typeCases()) {
    for (int nplanes = 0; nplanes <= kMaxTablePlanes; ++nplanes) {
      for (const size_t count : {size_t{1}, size_t{65}, size_t{1100}}) {
        c.count = count;
        ASSERT_NO_FATAL_FAILURE(expectMeansEqualToReference(c, nplanes));
      }
    }
  }
}

TEST_P(LionDecodeTest, EqualsTheReferenceForEveryMisalignment) {
  for (DecodeCase c : typeCases()) {
    for (const size_t offset : kLionOffsets) {
      c.offset = offset;
      for (const size_t count : {size_t{1}, size_t{64}, size_t{200}}) {
        c.count = count;
        ASSERT_NO_FATAL_FAILURE(expectVotesEqualToReference(c));
        for (const int nplanes : {2, 5, 8}) ASSERT_NO_FATAL_FAILURE(expectMeansEqualToReference(c, nplanes));
      }
    }
  }
}

TEST_P(LionDecodeTest, EqualsTheReferenceForRatesOfEveryKind) {
  using Limits = std::numeric_limits<float>;
  constexpr struct {
    float learning_rate;
    float weight_decay;
  } kRates[] = {{0, 0},
                {1, 0},
                {-0.0F, -0.0F},
                {-1e-3F, 0.5F},
                {0x1p-130F, 0x1p-130F},
                {Limits::max(), Limits::max()},
                {Limits::infinity(), 0},
                {1, Limits::quiet_NaN()}};
  for (DecodeCase c : typeCases()) {
    c.count = kCoarseGrid ? 300 : 3000;
    for (const auto& rates : kRates) {
      c.learning_rate = rates.learning_rate;
      c.weight_decay = rates.weight_decay;
      ASSERT_NO_FATAL_FAILURE(expectVotesEqualToReference(c));
      ASSERT_NO_FATAL_FAILURE(expectMeansEqualToReference(c, 4));
    }
  }
}

TEST_P(LionDecodeTest, DoesNotDependOnTheFloatingPointUnitAndLeavesItAsItWas) {
  constexpr size_t kCount = 1000;
  constexpr int kPlanes = 3;
  alignas(64) constexpr float kMeans[1 << kPlanes] = {-1, -0.7F, -0.3F, 0, 0.3F, 0.7F, 1, 1e-40F};
  for (DecodeCase c : typeCases()) {
    for (const FloatSetting setting : unusualFloatSettings()) {
      // A denormal shows whether any arithmetic, even with rates alone, is outside the kernel's own mode.
      for (const float learning_rate : {1e-3F, 0x1p-130F}) {
        c.learning_rate = learning_rate;
        TestPlanes planes(kPlanes, wordsFor(kCount));
        planes.fillRandom(random());
        NumbersTwice voted(c.type, random(), kCount, 1), averaged(c.type, random(), kCount, 1);
        reference().decodeVoteLion(parametersOf(c, voted.first), planes.plane(0), planes.plane(1), kCount);
        reference().decodeAvgLion(parametersOf(c, averaged.first), planes.view(), kMeans, kCount);
        const LionParameters to_vote = parametersOf(c, voted.second);
        const LionParameters to_average = parametersOf(c, averaged.second);
        FloatState before{}, between{}, after{};
        {
          const FloatSettingGuard guard(setting);
          before = FloatState::now();
          kernels().decodeVoteLion(to_vote, planes.plane(0), planes.plane(1), kCount);
          between = FloatState::now();
          kernels().decodeAvgLion(to_average, planes.view(), kMeans, kCount);
          after = FloatState::now();
        }
        EXPECT_TRUE(before == between) << setting.name << ", " << c;
        EXPECT_TRUE(before == after) << setting.name << ", " << c;
        EXPECT_TRUE(voted.first == voted.second) << setting.name << ", " << c;
        EXPECT_TRUE(averaged.first == averaged.second) << setting.name << ", " << c;
      }
    }
  }
}

SIGNCCL_FOR_ALL_KERNELS(LionDecodeTest);

}  // namespace
}  // namespace signccl
