// SPDX-License-Identifier: Apache-2.0
// No kernel touches memory outside its buffers: every buffer starts right after, or ends right before, a page that may
// not be touched. A bad access ends the program.
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "kernels/random_ties.h"
#include "kernels_test_support.h"
#include "lion_test_support.h"

namespace signccl {
namespace {

enum class Edge { kStart, kEnd };

/// `size` bytes at the edge of a page whose neighbour is forbidden.
class EdgeBuffer {
 public:
  EdgeBuffer(size_t size, Edge edge) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inner = (size + page - 1) / page * page;
    mapped_ = inner + 2 * page;
    base_ = static_cast<unsigned char*>(mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (inner > 0) mprotect(base_ + page, inner, PROT_READ | PROT_WRITE);
    data_ = edge == Edge::kStart ? base_ + page : base_ + page + inner - size;
  }
  ~EdgeBuffer() { munmap(base_, mapped_); }
  EdgeBuffer(const EdgeBuffer&) = delete;
  EdgeBuffer& operator=(const EdgeBuffer&) = delete;

  unsigned char* data() { return data_; }
  Word* words() { return reinterpret_cast<Word*>(data_); }

 private:
  unsigned char* base_;
  unsigned char* data_;
  size_t mapped_;
};

class BoundsTest : public KernelsTest {};

TEST(EdgeBufferDeathTest, TouchingTheNeighbourEndsTheProgram) {
  EdgeBuffer buffer(100, Edge::kEnd);
  EXPECT_DEATH(static_cast<void>(*static_cast<volatile unsigned char*>(buffer.data() + 100)), "");
}

TEST_P(BoundsTest, EncodeAndDecodeVoteStayInside) {
  for (const ElementType type : signTypes()) {
    for (const Edge edge : {Edge::kStart, Edge::kEnd}) {
      for (size_t count = 0; count < 600; count += kCoarseGrid ? 41 : 7) {
        const size_t plane_bytes = elementBytes(ElementType::kBits, count);
        EdgeBuffer elements(elementBytes(type, count), edge), positive(plane_bytes, edge),
            nonnegative(plane_bytes, edge);
        kernels().encodeBinary(type, elements.data(), count, nonnegative.words());
        kernels().encodeTernary(type, elements.data(), count, positive.words(), nonnegative.words());
        const Word* second = type == ElementType::kBits ? nullptr : nonnegative.words();
        for (const Store store : {Store::kCached, Store::kStreaming}) {
          kernels().decodeVote(type, positive.words(), second, count, elements.data(), store);
        }
      }
    }
  }
}

TEST_P(BoundsTest, EncodeSumStaysInside) {
  for (const ElementType type : signTypes()) {
    if (type == ElementType::kBits) continue;  // no type of a sum
    for (const Edge edge : {Edge::kStart, Edge::kEnd}) {
      for (size_t count = 0; count < 600; count += kCoarseGrid ? 41 : 7) {
        const size_t plane_bytes = elementBytes(ElementType::kBits, count);
        EdgeBuffer elements(elementBytes(type, count), edge), positive(plane_bytes, edge),
            nonnegative(plane_bytes, edge);
        kernels().encodeSumBinary(type, elements.data(), count, nonnegative.words());
        kernels().encodeSumTernary(type, elements.data(), count, positive.words(), nonnegative.words());
      }
    }
  }
}

TEST_P(BoundsTest, DecodeAvgStaysInside) {
  for (const ElementType type : {ElementType::kInt8, ElementType::kInt16, ElementType::kInt32, ElementType::kFloat64}) {
    for (const Edge edge : {Edge::kStart, Edge::kEnd}) {
      for (const int nplanes : {6, 7, 8, 10}) {  // tables of whole 64-byte lines, so that both edges are aligned
        if (type == ElementType::kInt8 && nplanes > 8) continue;
        EdgeBuffer table(elementBytes(type, size_t{1} << nplanes), edge);
        for (size_t count = 0; count < 400; count += kCoarseGrid ? 41 : 7) {
          const size_t nwords = (count + kWordBits - 1) / kWordBits;
          EdgeBuffer planes(static_cast<size_t>(nplanes) * nwords * sizeof(Word), edge);
          EdgeBuffer elements(elementBytes(type, count), edge);
          const ConstPlanes counts{planes.words(), nwords, nplanes};
          for (const Store store : {Store::kCached, Store::kStreaming}) {
            kernels().decodeAvg(type, counts, table.data(), count, elements.data(), store);
          }
        }
      }
    }
  }
}

/// Numbers of elements with several tiles of a GPU, which end at a page at every offset behind a multiple of 16 bytes.
TEST_P(BoundsTest, WholeTilesAtEveryOffsetStayInside) {
  for (const ElementType type : signTypes()) {
    if (type == ElementType::kBits) continue;
    for (size_t count = 2048; count <= 2048 + 16; count += kCoarseGrid ? 5 : 1) {
      const size_t plane_bytes = elementBytes(ElementType::kBits, count);
      EdgeBuffer elements(elementBytes(type, count), Edge::kEnd), positive(plane_bytes, Edge::kEnd),
          nonnegative(plane_bytes, Edge::kEnd), planes(5 * plane_bytes, Edge::kEnd);
      kernels().encodeTernary(type, elements.data(), count, positive.words(), nonnegative.words());
      kernels().encodeSumBinary(type, elements.data(), count, nonnegative.words());
      kernels().decodeVote(type, positive.words(), nonnegative.words(), count, elements.data(), Store::kCached);
      const TestBuffer table = randomTable(type, 5, random());
      const ConstPlanes counts{planes.words(), wordsFor(count), 5};
      kernels().decodeAvg(type, counts, table.data(), count, elements.data(), Store::kCached);
    }
  }
}

TEST_P(BoundsTest, EncodeLionStaysInside) {
  for (const FloatType gradient_type : kFloatTypes) {
    for (const FloatType momentum_type : kFloatTypes) {
      for (const Edge edge : {Edge::kStart, Edge::kEnd}) {
        for (size_t count = 0; count < 300; count += kCoarseGrid ? 41 : 7) {
          EdgeBuffer gradients(count * floatBytes(gradient_type), edge),
              momenta(count * floatBytes(momentum_type), edge);
          EdgeBuffer positive(wordsFor(count) * sizeof(Word), edge), nonnegative(wordsFor(count) * sizeof(Word), edge);
          for (const void* from : {static_cast<const void*>(gradients.data()), static_cast<const void*>(nullptr)}) {
            const LionMomenta lion{gradient_type, momentum_type, from, momenta.data(), {0.9F, 0.1F, 0.99F, 0.01F}};
            kernels().encodeLion(lion, count, nullptr, nonnegative.words());
            kernels().encodeLion(lion, count, positive.words(), nonnegative.words());
          }
        }
      }
    }
  }
}

TEST_P(BoundsTest, DecodeLionStaysInside) {
  for (const FloatType type : kFloatTypes) {
    for (const bool is_stochastic : {false, true}) {
      for (const Edge edge : {Edge::kStart, Edge::kEnd}) {
        for (size_t count = 0; count < 300; count += kCoarseGrid ? 41 : 7) {
          EdgeBuffer parameters(count * floatBytes(type), edge);
          EdgeBuffer positive(wordsFor(count) * sizeof(Word), edge), nonnegative(wordsFor(count) * sizeof(Word), edge);
          const LionParameters lion{type, parameters.data(), 1e-3F, 0.1F, {is_stochastic, 1, 0}};
          kernels().decodeVoteLion(lion, positive.words(), nullptr, count);
          kernels().decodeVoteLion(lion, positive.words(), nonnegative.words(), count);
          for (const int nplanes : {4, 6, 10}) {  // tables of whole 64-byte lines, so that both edges are aligned
            EdgeBuffer table(sizeof(float) << nplanes, edge);
            EdgeBuffer planes(static_cast<size_t>(nplanes) * wordsFor(count) * sizeof(Word), edge);
            const ConstPlanes counts{planes.words(), wordsFor(count), nplanes};
            kernels().decodeAvgLion(lion, counts, reinterpret_cast<const float*>(table.data()), count);
          }
        }
      }
    }
  }
}

/// Tensors with two tiles of a GPU, which end at a page at every offset behind a multiple of 16 bytes.
TEST_P(BoundsTest, WholeTilesOfLionTensorsAtEveryOffsetStayInside) {
  constexpr int kPlanes = 6;
  const std::vector<float> means(1 << kPlanes);
  for (const FloatType type : kFloatTypes) {
    for (size_t count = 2048; count <= 2048 + 8; count += kCoarseGrid ? 3 : 1) {
      const size_t plane_bytes = wordsFor(count) * sizeof(Word);
      EdgeBuffer numbers(count * floatBytes(type), Edge::kEnd), positive(plane_bytes, Edge::kEnd),
          nonnegative(plane_bytes, Edge::kEnd), planes(kPlanes * plane_bytes, Edge::kEnd);
      for (const FloatType gradient_type : kFloatTypes) {
        EdgeBuffer gradients(count * floatBytes(gradient_type), Edge::kEnd);
        const LionMomenta lion{gradient_type, type, gradients.data(), numbers.data(), {0.9F, 0.1F, 0.99F, 0.01F}};
        kernels().encodeLion(lion, count, positive.words(), nonnegative.words());
      }
      for (const bool is_stochastic : {false, true}) {
        const LionParameters lion{type, numbers.data(), 1e-3F, 0.1F, {is_stochastic, 1, 0}};
        kernels().decodeVoteLion(lion, positive.words(), nonnegative.words(), count);
        const ConstPlanes counts{planes.words(), wordsFor(count), kPlanes};
        kernels().decodeAvgLion(lion, counts, means.data(), count);
      }
    }
  }
}

TEST_P(BoundsTest, KernelsOnPlanesStayInside) {
  constexpr int kPlanes = 3;
  for (const Edge edge : {Edge::kStart, Edge::kEnd}) {
    for (size_t nwords = 0; nwords < 80; nwords += kCoarseGrid ? 7 : 1) {
      EdgeBuffer in(kPlanes * nwords * sizeof(Word), edge), out(kPlanes * nwords * sizeof(Word), edge);
      EdgeBuffer single(nwords * sizeof(Word), edge);
      const ConstPlanes counts{in.words(), nwords, kPlanes};
      const Planes result{out.words(), nwords, kPlanes};
      for (const int ninputs : {7, 100}) {
        const std::vector<const Word*> inputs(static_cast<size_t>(ninputs), single.words());
        const int nplanes = planesFor(inputs.size());
        EdgeBuffer sums(static_cast<size_t>(nplanes) * nwords * sizeof(Word), edge);
        kernels().count(inputs.data(), ninputs, nwords, {sums.words(), nwords, nplanes});
      }
      kernels().merge(counts, counts, nwords, result);
      kernels().clamp(counts, 1, 6, nwords, result);
      kernels().decide(counts, 4, true, sameTies(0), nwords, single.words(), out.words());
      kernels().decide(counts, 4, true, randomTies(1, 1), nwords, single.words(), nullptr);
      kernels().restoreTop(counts, in.words(), in.words(), nwords, single.words());
    }
  }
}

SIGNCCL_FOR_ALL_KERNELS(BoundsTest);

}  // namespace
}  // namespace signccl
