// SPDX-License-Identifier: Apache-2.0
#include "collective.h"

#include <cstdlib>
#include <limits>
#include <mpi.h>
#include <new>
#include <stdexcept>

#include "bit_kernels.h"

namespace baselines {
namespace {

int rankOfWorld() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

int sizeOfWorld() {
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  return size;
}

/// Memory at the start of a cache line.
template <typename T>
class Buffer {
 public:
  explicit Buffer(std::size_t count)
      : data_(static_cast<T*>(std::aligned_alloc(kLine, (count * sizeof(T) / kLine + 1) * kLine))) {
    if (data_ == nullptr) throw std::bad_alloc();
  }
  [[nodiscard]] T* get() const { return data_.get(); }

 private:
  static constexpr std::size_t kLine = 64;
  struct Free {
    void operator()(T* memory) const { std::free(memory); }
  };
  std::unique_ptr<T, Free> data_;
};

/// The test pattern: -3 to 3, so that sums of up to 42 ranks fit int8 and those of float32 are exact.
int elementOf(int rank, std::size_t i) {
  const auto mixed = (static_cast<std::uint32_t>(i) * 2654435761U) ^ (static_cast<std::uint32_t>(rank + 1) * 40503U);
  return static_cast<int>((mixed * 2246822519U) >> 16) % 7 - 3;
}

/// Input and output of `T`; one of the two is empty if in place.
template <typename T>
class Elements {
 public:
  explicit Elements(const Case& c)
      : count_(c.count), in_place_(c.placement == InPlace::kYes), input_(in_place_ ? 0 : c.count), output_(c.count) {}

  void fill() {
    const int rank = rankOfWorld();
    constexpr T kNoResult = 99;
    for (std::size_t i = 0; i < count_; ++i) output_.get()[i] = kNoResult;
    T* const target = in_place_ ? output_.get() : input_.get();
    for (std::size_t i = 0; i < count_; ++i) target[i] = static_cast<T>(elementOf(rank, i));
  }

  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] bool inPlace() const { return in_place_; }
  [[nodiscard]] const T* input() const { return in_place_ ? output_.get() : input_.get(); }
  [[nodiscard]] T* output() const { return output_.get(); }

 private:
  std::size_t count_;
  bool in_place_;
  Buffer<T> input_;
  Buffer<T> output_;
};

template <typename T>
class SumCollective : public Collective {
 public:
  SumCollective(const Case& c, MPI_Datatype type) : elements_(c), type_(type) {}

  void fill() override { elements_.fill(); }

  void run() override {
    MPI_Allreduce(elements_.inPlace() ? MPI_IN_PLACE : elements_.input(), elements_.output(),
                  static_cast<int>(elements_.count()), type_, MPI_SUM, MPI_COMM_WORLD);
  }

  [[nodiscard]] std::size_t countWrong() const override {
    const int nranks = sizeOfWorld();
    std::size_t nwrong = 0;
    for (std::size_t i = 0; i < elements_.count(); ++i) {
      int sum = 0;
      for (int rank = 0; rank < nranks; ++rank) sum += elementOf(rank, i);
      nwrong += elements_.output()[i] != static_cast<T>(sum) ? 1 : 0;
    }
    return nwrong;
  }

  void corrupt() override { elements_.output()[0] += 1; }
  [[nodiscard]] std::size_t bytes() const override { return elements_.count() * sizeof(T); }

 private:
  Elements<T> elements_;
  MPI_Datatype type_;
};

class BitVote : public Collective {
 public:
  explicit BitVote(const Case& c)
      : elements_(c),
        nranks_(sizeOfWorld()),
        chunk_words_(chunkWords(c.count, nranks_)),
        signs_(allWords()),
        rows_(allWords()),
        votes_(chunk_words_) {
    // Words past the last element travel too; they must hold something.
    for (std::size_t w = 0; w < allWords(); ++w) signs_.get()[w] = 0;
  }

  void fill() override { elements_.fill(); }

  void run() override {
    const int chunk = static_cast<int>(chunk_words_);
    packSigns(elements_.input(), elements_.count(), signs_.get());
    MPI_Alltoall(signs_.get(), chunk, MPI_UINT64_T, rows_.get(), chunk, MPI_UINT64_T, MPI_COMM_WORLD);
    voteWords(rows_.get(), nranks_, chunk_words_, votes_.get());
    MPI_Allgather(votes_.get(), chunk, MPI_UINT64_T, rows_.get(), chunk, MPI_UINT64_T, MPI_COMM_WORLD);
    unpackSigns(rows_.get(), elements_.count(), elements_.output());
  }

  [[nodiscard]] std::size_t countWrong() const override {
    std::size_t nwrong = 0;
    for (std::size_t i = 0; i < elements_.count(); ++i) {
      int nvotes = 0;
      for (int rank = 0; rank < nranks_; ++rank) nvotes += elementOf(rank, i) >= 0 ? 1 : 0;
      nwrong += elements_.output()[i] != (2 * nvotes >= nranks_ ? 1.0F : -1.0F) ? 1 : 0;
    }
    return nwrong;
  }

  void corrupt() override { elements_.output()[0] = -elements_.output()[0]; }
  [[nodiscard]] std::size_t bytes() const override { return elements_.count() * sizeof(float); }

 private:
  static std::size_t chunkWords(std::size_t count, int nranks) {
    const std::size_t nwords = (count + 63) / 64;
    return (nwords + static_cast<std::size_t>(nranks) - 1) / static_cast<std::size_t>(nranks);
  }
  [[nodiscard]] std::size_t allWords() const { return chunk_words_ * static_cast<std::size_t>(nranks_); }

  Elements<float> elements_;
  int nranks_;
  std::size_t chunk_words_;
  Buffer<std::uint64_t> signs_;  ///< of this rank, all chunks
  Buffer<std::uint64_t> rows_;   ///< one chunk of all ranks; later the votes of all chunks
  Buffer<std::uint64_t> votes_;  ///< on this rank's chunk
};

}  // namespace

const std::vector<std::string>& opNames() {
  static const std::vector<std::string> names = {"fp32", "int8", "bits"};
  return names;
}

std::unique_ptr<Collective> makeCollective(const Case& c) {
  if (c.count == 0 || c.count > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw std::length_error("a count of " + std::to_string(c.count) + " elements is not in 1 to 2147483647");
  }
  if (c.op == "fp32") return std::make_unique<SumCollective<float>>(c, MPI_FLOAT);
  if (c.op == "int8") return std::make_unique<SumCollective<std::int8_t>>(c, MPI_INT8_T);
  if (c.op == "bits") return std::make_unique<BitVote>(c);
  throw std::invalid_argument("'" + c.op + "' is no operation");
}

}  // namespace baselines
