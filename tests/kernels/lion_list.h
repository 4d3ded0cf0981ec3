// SPDX-License-Identifier: Apache-2.0
// Lists of tensors for the tests of Lion kernels that serve many tensors at once: where the tensors lie, and what the
// reference makes of a range of their words, one tensor after the other.
#ifndef SIGNCCL_TESTS_KERNELS_LION_LIST_H_
#define SIGNCCL_TESTS_KERNELS_LION_LIST_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/device/lion_arguments.h"
#include "lion_test_support.h"

namespace signccl {

/// A tensor of a list before it has memory.
struct ListedTensor {
  size_t count = 0;
  size_t offset = 0;  ///< elements beyond an address that is aligned to 16 bytes
  uint64_t group = 0;
  bool has_gradients = true;
  uint64_t words_before = 0;  ///< words of tensors that are in other tables, between the one before and this one
};

/// A part of a tensor that lies in a range of words.
struct TensorPart {
  size_t tensor = 0;
  size_t first = 0;   ///< element of the tensor, a multiple of 64
  size_t count = 0;   ///< elements
  uint64_t word = 0;  ///< number of its first word in the step
};

class LionList {
 public:
  explicit LionList(std::vector<ListedTensor> tensors);

  [[nodiscard]] size_t size() const { return tensors_.size(); }
  [[nodiscard]] const ListedTensor& operator[](size_t t) const { return tensors_[t]; }
  [[nodiscard]] uint64_t nwords() const { return nwords_; }

  /// Elements of a buffer for the numbers of all tensors, with gaps between them.
  [[nodiscard]] size_t elements() const { return elements_; }
  [[nodiscard]] size_t bytes(FloatType type) const { return elements_ * floatBytes(type); }

  /// Where those of a part lie in such a buffer.
  [[nodiscard]] unsigned char* numbers(FloatType type, TestBuffer& buffer, const TensorPart& part) const {
    return buffer.data() + (first_element_[part.tensor] + part.first) * floatBytes(type);
  }

  /// Tensors whose numbers lie in `buffer`.
  [[nodiscard]] std::vector<LionEntry> entries(FloatType type, TestBuffer& buffer) const;

  /// The parts of tensors in words [begin, end), in order.
  [[nodiscard]] std::vector<TensorPart> parts(uint64_t begin, uint64_t end) const;

 private:
  std::vector<ListedTensor> tensors_;
  std::vector<size_t> first_element_;  ///< where the tensor begins in a buffer
  std::vector<uint64_t> first_word_;
  size_t elements_ = 0;
  uint64_t nwords_ = 0;
};

/// `n` tensors of various groups below `ngroups`, some without gradients and some without elements; a few do not begin
/// at a multiple of 16 bytes. Each count is one of `counts`.
std::vector<ListedTensor> variousTensors(size_t n, const std::vector<size_t>& counts, uint64_t ngroups,
                                         std::mt19937_64& random);

/// Counts up to three tiles, around those where something ends.
std::vector<size_t> countsAroundTiles();

}  // namespace signccl

#endif  // SIGNCCL_TESTS_KERNELS_LION_LIST_H_
