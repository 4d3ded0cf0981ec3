// SPDX-License-Identifier: Apache-2.0
// What the tests of device kernels share: launches of several sizes, and planes at chosen alignments.
#ifndef SIGNCCL_TESTS_KERNELS_LANES_LANES_TEST_SUPPORT_H_
#define SIGNCCL_TESTS_KERNELS_LANES_LANES_TEST_SUPPORT_H_

#include <cstddef>
#include <random>

#include "kernels/kernels.h"
#include "kernels/lanes/run_on_host.h"
#include "kernels_test_support.h"
#include "test_buffer.h"

namespace signccl {

/// Blocks of a launch: one, so that its warps walk over many tiles; two; and more than there are tiles.
inline constexpr size_t kLaunches[] = {1, 2, 40};

/// Words of a plane: none, one for some lanes of a warp, some for several warps of one block and for several blocks.
inline constexpr size_t kWordCounts[] = {0, 1, 2, 63, 64, 65, 640, 2051};

template <typename Body, typename Arguments>
void launch(const Arguments& arguments, size_t nblocks) {
  lanes::runOnHost<lanes::DirectMemory, Body>(arguments, nblocks);
}

/// How planes lie in memory.
enum class Alignment {
  kQuads,      ///< every plane is aligned to 16 bytes
  kWords,      ///< no plane is
  kOddStride,  ///< every second plane is
};
inline constexpr Alignment kAlignments[] = {Alignment::kQuads, Alignment::kWords, Alignment::kOddStride};

/// `nplanes` planes of `nwords` words, of random bits, with guards around and between them.
class PlanesAt {
 public:
  PlanesAt(Alignment alignment, int nplanes, size_t nwords)
      : nplanes_(nplanes),
        stride_(nwords + (nwords % 2 == 0) + (alignment == Alignment::kOddStride ? 0 : 1)),
        buffer_(static_cast<size_t>(nplanes) * stride_ * sizeof(Word), alignment == Alignment::kWords ? 8 : 0) {
    std::mt19937_64 random(100 * nwords + static_cast<size_t>(nplanes));
    buffer_.fillRandom(random);
  }

  Planes planes() { return {buffer_.words(), stride_, nplanes_}; }
  ConstPlanes view() const { return {buffer_.words(), stride_, nplanes_}; }
  Word* plane(int j) { return buffer_.words() + static_cast<size_t>(j) * stride_; }
  const Word* plane(int j) const { return buffer_.words() + static_cast<size_t>(j) * stride_; }

  friend bool operator==(const PlanesAt& a, const PlanesAt& b) { return a.buffer_ == b.buffer_; }

 private:
  int nplanes_;
  size_t stride_;
  TestBuffer buffer_;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_KERNELS_LANES_LANES_TEST_SUPPORT_H_
