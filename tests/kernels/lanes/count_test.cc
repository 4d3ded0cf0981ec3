// SPDX-License-Identifier: Apache-2.0
// Counting on a GPU, beyond what tests/kernels/count_test.cc asks of every instance.
#include "kernels/lanes/count.h"

#include <vector>

#include <gtest/gtest.h>

#include "kernels/device/kernel_list.h"
#include "lanes_test_support.h"

namespace signccl {
namespace {

struct CountKernel {
  int min_inputs;
  int max_inputs;
  void (*launch)(const CountArguments& arguments, size_t nblocks);
};

template <int kInputs>
constexpr CountKernel exactly() {
  return {kInputs, kInputs, launch<lanes::CountBody<kInputs>, CountArguments>};
}

constexpr CountKernel kKernels[] = {
    exactly<1>(),
    exactly<2>(),
    exactly<3>(),
    exactly<4>(),
    exactly<5>(),
    exactly<6>(),
    exactly<7>(),
    exactly<8>(),
    exactly<9>(),
    exactly<10>(),
    exactly<11>(),
    exactly<12>(),
    exactly<13>(),
    exactly<14>(),
    exactly<15>(),
    exactly<16>(),
    {1, 255, launch<lanes::CountManyBody<8, lanes::Quad>, CountArguments>},
    {1, 65535, launch<lanes::CountManyBody<16, lanes::Duo>, CountArguments>},
};

std::vector<const Word*> addressesOf(const PlanesAt& inputs) {
  std::vector<const Word*> addresses;
  for (int k = 0; k < inputs.view().nplanes; ++k) addresses.push_back(inputs.plane(k));
  return addresses;
}

/// Counts by every launch and by the reference.
void expectEqualToReference(const CountKernel& kernel, const CountInputs& inputs, size_t nwords, Alignment alignment) {
  const int ninputs = inputs.planes.nplanes;
  std::vector<const Word*> addresses;
  for (int k = 0; k < ninputs; ++k) {
    addresses.push_back(inputs.addresses != nullptr
                            ? inputs.addresses[k]
                            : inputs.planes.words + static_cast<size_t>(k) * inputs.planes.stride);
  }
  PlanesAt expected(alignment, planesFor(static_cast<uint64_t>(ninputs)), nwords);
  referenceKernels().count(addresses.data(), ninputs, nwords, expected.planes());
  for (const size_t nblocks : kLaunches) {
    PlanesAt counts(alignment, planesFor(static_cast<uint64_t>(ninputs)), nwords);
    kernel.launch({inputs, nwords, counts.planes()}, nblocks);
    ASSERT_TRUE(counts == expected) << ninputs << " inputs, " << nwords << " words, " << nblocks
                                    << " blocks, alignment " << static_cast<int>(alignment);
  }
}

TEST(LanesCountTest, InputsAtEqualDistancesAndByAddressHaveTheCountsOfTheReference) {
  for (const CountKernel& kernel : kKernels) {
    for (const int ninputs : {kernel.min_inputs, 16, 17, 32, 40, 255, 256, 300}) {
      if (ninputs < kernel.min_inputs || ninputs > kernel.max_inputs) continue;
      for (const Alignment alignment : kAlignments) {
        for (const size_t nwords : {size_t{1}, size_t{65}, size_t{130}, size_t{1100}}) {
          if (ninputs > 40 && nwords > 130) continue;
          const PlanesAt inputs(alignment, ninputs, nwords);
          const std::vector<const Word*> addresses = addressesOf(inputs);
          ASSERT_NO_FATAL_FAILURE(expectEqualToReference(kernel, {inputs.view(), nullptr}, nwords, alignment));
          ASSERT_NO_FATAL_FAILURE(
              expectEqualToReference(kernel, {{nullptr, 0, ninputs}, addresses.data()}, nwords, alignment));
        }
      }
    }
  }
}

TEST(LanesCountTest, OneMisalignedInputAmongAlignedOnesIsReadInWords) {
  constexpr size_t kWords = 130;
  for (const CountKernel& kernel : kKernels) {
    const int ninputs = kernel.max_inputs <= 16 ? kernel.max_inputs : 40;
    const PlanesAt inputs(Alignment::kQuads, ninputs, kWords);
    const PlanesAt misaligned(Alignment::kWords, 1, kWords);
    std::vector<const Word*> addresses = addressesOf(inputs);
    addresses.back() = misaligned.plane(0);
    ASSERT_NO_FATAL_FAILURE(
        expectEqualToReference(kernel, {{nullptr, 0, ninputs}, addresses.data()}, kWords, Alignment::kQuads));
  }
}

TEST(LanesCountTest, AlignedInputsMayHaveMisalignedCounts) {
  constexpr size_t kWords = 131;
  for (const CountKernel& kernel : kKernels) {
    const PlanesAt inputs(Alignment::kQuads, kernel.min_inputs, kWords);
    ASSERT_NO_FATAL_FAILURE(expectEqualToReference(kernel, {inputs.view(), nullptr}, kWords, Alignment::kWords));
  }
}

}  // namespace
}  // namespace signccl
