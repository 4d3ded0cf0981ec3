// SPDX-License-Identifier: Apache-2.0
// Memory for the tests of kernels: buffers with guards at a chosen misalignment, and buffers that end at a forbidden
// page.
#ifndef SIGNCCL_TESTS_KERNELS_TEST_BUFFER_H_
#define SIGNCCL_TESTS_KERNELS_TEST_BUFFER_H_

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <random>

#include "kernels/kernels.h"

namespace signccl {

/// `size` bytes at `offset` bytes beyond a multiple of 64, with a guard on both sides. Equality looks at the guards
/// too, so two buffers that were made alike and written by two kernels are equal only if both kept to their outputs.
class TestBuffer {
 public:
  static constexpr size_t kGuardBytes = 128;

  explicit TestBuffer(size_t size, size_t offset = 0)
      : size_(size), offset_(offset), storage_(new (std::align_val_t{64}) unsigned char[total()]) {
    std::memset(storage_.get(), 0xA5, total());
  }

  unsigned char* data() { return storage_.get() + kGuardBytes + offset_; }
  const unsigned char* data() const { return storage_.get() + kGuardBytes + offset_; }
  Word* words() { return reinterpret_cast<Word*>(data()); }
  const Word* words() const { return reinterpret_cast<const Word*>(data()); }
  size_t size() const { return size_; }

  void fillRandom(std::mt19937_64& random) {
    for (size_t i = 0; i < size_; ++i) data()[i] = static_cast<unsigned char>(random());
  }

  friend bool operator==(const TestBuffer& a, const TestBuffer& b) {
    return a.size_ == b.size_ && a.offset_ == b.offset_ &&
           std::memcmp(a.storage_.get(), b.storage_.get(), a.total()) == 0;
  }

 private:
  struct Delete {
    void operator()(unsigned char* bytes) const { ::operator delete[](bytes, std::align_val_t{64}); }
  };

  size_t total() const { return 2 * kGuardBytes + offset_ + size_; }

  size_t size_;
  size_t offset_;
  std::unique_ptr<unsigned char[], Delete> storage_;
};

/// `nplanes` planes of `nwords` words with a gap of `kGap` words between them, filled with random bits.
class TestPlanes {
 public:
  static constexpr size_t kGap = 3;

  TestPlanes(int nplanes, size_t nwords)
      : nplanes_(nplanes),
        stride_(nwords + kGap),
        buffer_((static_cast<size_t>(nplanes) * stride_ + kGap) * sizeof(Word), sizeof(Word)) {}

  void fillRandom(std::mt19937_64& random) { buffer_.fillRandom(random); }

  /// The first `nplanes` planes.
  Planes planes(int nplanes) { return {buffer_.words(), stride_, nplanes}; }
  Planes planes() { return planes(nplanes_); }
  ConstPlanes view(int nplanes) const { return {buffer_.words(), stride_, nplanes}; }
  ConstPlanes view() const { return view(nplanes_); }
  Word* plane(int j) { return buffer_.words() + static_cast<size_t>(j) * stride_; }
  const Word* plane(int j) const { return buffer_.words() + static_cast<size_t>(j) * stride_; }

  uint64_t number(size_t e) const {
    uint64_t result = 0;
    for (int j = 0; j < nplanes_; ++j) result |= ((plane(j)[e / kWordBits] >> (e % kWordBits)) & 1) << j;
    return result;
  }
  void setNumber(size_t e, uint64_t value) {
    for (int j = 0; j < nplanes_; ++j) {
      Word& word = plane(j)[e / kWordBits];
      const Word bit = Word{1} << (e % kWordBits);
      word = ((value >> j) & 1) != 0 ? word | bit : word & ~bit;
    }
  }

  friend bool operator==(const TestPlanes& a, const TestPlanes& b) { return a.buffer_ == b.buffer_; }

 private:
  int nplanes_;
  size_t stride_;
  TestBuffer buffer_;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_KERNELS_TEST_BUFFER_H_
