// SPDX-License-Identifier: Apache-2.0
// Aligned memory for benchmarks, touched and filled with random bits.
#ifndef SIGNCCL_PERF_KERNEL_BENCH_BUFFER_H_
#define SIGNCCL_PERF_KERNEL_BENCH_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <random>

#include "kernels/kernels.h"

namespace signccl {

class BenchBuffer {
 public:
  static constexpr std::size_t kAlignment = 4096;

  explicit BenchBuffer(std::size_t size)
      : size_(size), bytes_(new (std::align_val_t{kAlignment}) std::byte[size + sizeof(Word)]) {
    std::mt19937_64 random(1);
    for (std::size_t i = 0; i < size; i += sizeof(Word)) {
      const Word word = random();
      std::memcpy(bytes_.get() + i, &word, sizeof(word));
    }
  }

  [[nodiscard]] std::byte* data() { return bytes_.get(); }
  [[nodiscard]] Word* words() { return reinterpret_cast<Word*>(bytes_.get()); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Delete {
    void operator()(std::byte* bytes) const { ::operator delete[](bytes, std::align_val_t{kAlignment}); }
  };

  std::size_t size_;
  std::unique_ptr<std::byte[], Delete> bytes_;
};

}  // namespace signccl

#endif  // SIGNCCL_PERF_KERNEL_BENCH_BUFFER_H_
