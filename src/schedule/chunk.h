// SPDX-License-Identifier: Apache-2.0
// Which words of the vector a chunk covers: the one definition of the cut, for the executor and the cost model.
#ifndef SIGNCCL_SCHEDULE_CHUNK_H_
#define SIGNCCL_SCHEDULE_CHUNK_H_

#include <cstddef>

namespace signccl {

/// Consecutive chunks.
struct ChunkRun {
  int first = 0;
  int count = 1;

  [[nodiscard]] constexpr int end() const { return first + count; }

  friend bool operator==(const ChunkRun&, const ChunkRun&) = default;
};

/// Words [begin, begin + size) of a plane.
struct WordRange {
  std::size_t begin = 0;
  std::size_t size = 0;

  friend bool operator==(const WordRange&, const WordRange&) = default;
};

/// Words of a run of chunks, where `nwords` words are cut into `nchunks` chunks: chunk c covers
/// [c nwords / nchunks, (c + 1) nwords / nchunks). Chunks differ by at most one word, and some are empty if nwords <
/// nchunks.
constexpr WordRange chunkRange(std::size_t nwords, int nchunks, ChunkRun run) {
  if (run.count == nchunks) return {0, nwords};  // spares small vectors the divisions
  const auto boundary = [&](int chunk) {
    // nwords * chunk may overflow: whole words per chunk and the rest are multiplied apart.
    const auto pieces = static_cast<std::size_t>(nchunks);
    const auto c = static_cast<std::size_t>(chunk);
    return nwords / pieces * c + nwords % pieces * c / pieces;
  };
  const std::size_t begin = boundary(run.first);
  return {begin, boundary(run.end()) - begin};
}

constexpr WordRange chunkRange(std::size_t nwords, int nchunks, int chunk) {
  return chunkRange(nwords, nchunks, ChunkRun{chunk, 1});
}

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_CHUNK_H_
