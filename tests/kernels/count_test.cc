// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include <gtest/gtest.h>

#include "kernels_test_support.h"
#include "test_buffer.h"

namespace signccl {
namespace {

class CountTest : public KernelsTest {
 protected:
  void expectEqualToReference(int ninputs, size_t nwords) {
    TestPlanes inputs(ninputs, nwords);
    inputs.fillRandom(random());
    std::vector<const Word*> pointers;
    for (int k = 0; k < ninputs; ++k) pointers.push_back(inputs.plane(k));
    expectEqualToReference(pointers, nwords);
  }

  void expectEqualToReference(const std::vector<const Word*>& inputs, size_t nwords) {
    const int ninputs = static_cast<int>(inputs.size());
    const int nplanes = planesFor(inputs.size());
    TestPlanes expected(nplanes, nwords), counts(nplanes, nwords);
    reference().count(inputs.data(), ninputs, nwords, expected.planes());
    kernels().count(inputs.data(), ninputs, nwords, counts.planes());
    ASSERT_TRUE(counts == expected) << ninputs << " inputs, " << nwords << " words";
  }
};

TEST_P(CountTest, EqualsTheReferenceForEveryNumberOfInputs) {
  for (int ninputs = 0; ninputs <= 40; ++ninputs) {
    for (const size_t nwords : {size_t{0}, size_t{1}, size_t{7}, kAllPathsWords, size_t{129}}) {
      ASSERT_NO_FATAL_FAILURE(expectEqualToReference(ninputs, nwords));
    }
  }
  for (const int ninputs : {100, 300}) ASSERT_NO_FATAL_FAILURE(expectEqualToReference(ninputs, 300));
}

TEST_P(CountTest, EqualsTheReferenceForEveryNumberOfWords) {
  for (const size_t nwords : wordGrid()) {
    for (const int ninputs : {1, 8, 15, 21}) ASSERT_NO_FATAL_FAILURE(expectEqualToReference(ninputs, nwords));
  }
}

TEST_P(CountTest, CountsTheLongestListOfInputs) {
  constexpr size_t kWords = 9;
  TestPlanes inputs(5, kWords);
  inputs.fillRandom(random());
  std::vector<const Word*> pointers;
  for (int k = 0; k < kMaxCountInputs; ++k) pointers.push_back(inputs.plane(k * 7 % 5));
  ASSERT_NO_FATAL_FAILURE(expectEqualToReference(pointers, kWords));
}

TEST_P(CountTest, AllInputsSetGivesTheirNumber) {
  constexpr size_t kWords = 19;
  const std::vector<Word> ones(kWords, ~Word{0});
  for (const int ninputs : {1, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 255, 256, kMaxCountInputs}) {
    const std::vector<const Word*> inputs(static_cast<size_t>(ninputs), ones.data());
    TestPlanes counts(planesFor(inputs.size()), kWords);
    kernels().count(inputs.data(), ninputs, kWords, counts.planes());
    for (size_t e = 0; e < kWords * kWordBits; ++e) ASSERT_EQ(counts.number(e), inputs.size()) << "element " << e;
  }
}

SIGNCCL_FOR_ALL_KERNELS(CountTest);

}  // namespace
}  // namespace signccl
