// SPDX-License-Identifier: Apache-2.0
#include "kernels/lanes/count_decide.h"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/random_ties.h"
#include "lanes_test_support.h"

namespace signccl {
namespace {

std::vector<const Word*> addressesOf(const PlanesAt& inputs) {
  std::vector<const Word*> addresses;
  for (int k = 0; k < inputs.view().nplanes; ++k) addresses.push_back(inputs.plane(k));
  return addresses;
}

/// What count() and decide() of the reference make of the inputs.
PlanesAt votesOfTheReference(const PlanesAt& inputs, Alignment alignment, size_t nwords, const Decision& decision) {
  const std::vector<const Word*> addresses = addressesOf(inputs);
  const auto ninputs = static_cast<int>(addresses.size());
  PlanesAt counts(Alignment::kQuads, planesFor(addresses.size()), nwords);
  referenceKernels().count(addresses.data(), ninputs, nwords, counts.planes());
  PlanesAt votes(alignment, 2, nwords);
  referenceKernels().decide(counts.view(), decision.threshold, decision.has_ties, decision.ties, nwords, votes.plane(0),
                            decision.nonnegative == nullptr ? nullptr : votes.plane(1));
  return votes;
}

/// `decision`: without planes, but nonnegative says whether there is one.
template <int kInputs>
void expectVotesOfTheReference(Alignment alignment, size_t nwords, Decision decision) {
  const PlanesAt inputs(alignment, kInputs, nwords);
  const std::vector<const Word*> addresses = addressesOf(inputs);
  const PlanesAt expected = votesOfTheReference(inputs, alignment, nwords, decision);
  for (const CountInputs& given :
       {CountInputs{inputs.view(), nullptr}, CountInputs{{nullptr, 0, kInputs}, addresses.data()}}) {
    for (const size_t nblocks : kLaunches) {
      PlanesAt votes(alignment, 2, nwords);
      decision.positive = votes.plane(0);
      if (decision.nonnegative != nullptr) decision.nonnegative = votes.plane(1);
      launch<lanes::CountDecideBody<kInputs>>(CountDecideArguments{given, nwords, decision}, nblocks);
      ASSERT_TRUE(votes == expected) << kInputs << " inputs, threshold " << decision.threshold << ", " << nwords
                                     << " words, " << nblocks << " blocks, random ties " << decision.ties.is_random;
    }
  }
}

template <int... kInputs>
void expectVotesOfTheReference(std::integer_sequence<int, kInputs...>, Alignment alignment, size_t nwords,
                               const Decision& decision) {
  (expectVotesOfTheReference<kInputs + 1>(alignment, nwords, decision), ...);
}

TEST(LanesCountDecideTest, EveryNumberOfInputsHasTheVotesOfCountAndDecide) {
  Word some = 0;
  for (const Alignment alignment : kAlignments) {
    for (const size_t nwords : {size_t{0}, size_t{1}, size_t{131}, size_t{1100}}) {
      for (const uint64_t threshold : {0U, 1U, 5U, 9U, 16U, 32U, 1000U}) {
        if (nwords == 1100 && threshold != 5) continue;
        for (const TieBits ties : {sameTies(0x0123'4567'89AB'CDEF), randomTies(1, 77)}) {
          for (Word* nonnegative : {static_cast<Word*>(nullptr), &some}) {
            const Decision decision{threshold, threshold != 16, ties, nullptr, nonnegative};
            ASSERT_NO_FATAL_FAILURE(
                expectVotesOfTheReference(std::make_integer_sequence<int, 16>(), alignment, nwords, decision));
          }
        }
      }
    }
  }
}

TEST(LanesCountDecideTest, TheResultsMayReplaceInputs) {
  constexpr size_t kWords = 131;
  PlanesAt inputs(Alignment::kQuads, 6, kWords);
  Word some = 0;
  Decision decision{3, true, randomTies(1, 2), nullptr, &some};
  const PlanesAt expected = votesOfTheReference(inputs, Alignment::kQuads, kWords, decision);
  decision.positive = inputs.plane(0);
  decision.nonnegative = inputs.plane(5);
  launch<lanes::CountDecideBody<6>>(CountDecideArguments{{inputs.view(), nullptr}, kWords, decision}, 2);
  for (size_t i = 0; i < kWords; ++i) {
    ASSERT_EQ(inputs.plane(0)[i], expected.plane(0)[i]) << i;
    ASSERT_EQ(inputs.plane(5)[i], expected.plane(1)[i]) << i;
  }
}

TEST(LanesCountDecideTest, TiesOfAReplayAreThoseOfItsNumber) {
  constexpr size_t kWords = 131;
  constexpr uint64_t kCall = 0x1'0000'0007;
  const PlanesAt inputs(Alignment::kQuads, 4, kWords);
  for (const uint32_t replay : {uint32_t{0}, uint32_t{1}, ~uint32_t{0}}) {
    Decision decision{3, true, randomTies(replayCall(kCall, replay), 5), nullptr, nullptr};
    const PlanesAt expected = votesOfTheReference(inputs, Alignment::kQuads, kWords, decision);
    decision.ties = {true, kCall, 5};
    decision.replay = &replay;
    PlanesAt votes(Alignment::kQuads, 2, kWords);
    decision.positive = votes.plane(0);
    launch<lanes::CountDecideBody<4>>(CountDecideArguments{{inputs.view(), nullptr}, kWords, decision}, 2);
    EXPECT_TRUE(votes == expected) << replay;
  }
}

}  // namespace
}  // namespace signccl
