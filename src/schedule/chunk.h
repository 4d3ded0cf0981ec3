// Which words of the vector a chunk covers: the one definition of the cut, for the executor and the cost model.
#ifndef SIGNCCL_SCHEDULE_CHUNK_H_
#define SIGNCCL_SCHEDULE_CHUNK_H_

#include <algorithm>
#include <cstddef>

namespace signccl {

/// A word of a plane holds one bit of 64 elements.
inline constexpr std::size_t kWordBytes = 8;
inline constexpr std::size_t kElementsPerWord = 64;

/// Words of a plane of `count` elements.
constexpr std::size_t wordsFor(std::size_t count) {
  return count / kElementsPerWord + (count % kElementsPerWord == 0 ? 0 : 1);
}

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

/// How large slices are where nobody says otherwise: such that chunks have 32 KiB, since each chunk is a message, but
/// from 128 KiB to 1 MiB, since ranks hold several slices at a time.
constexpr std::size_t defaultSliceWords(int nranks) {
  constexpr std::size_t kLeast = std::size_t{16} * 1024;
  constexpr std::size_t kMost = std::size_t{128} * 1024;
  constexpr std::size_t kChunkWords = std::size_t{4} * 1024;
  return std::clamp(static_cast<std::size_t>(nranks) * kChunkWords, kLeast, kMost);
}

/// Slices of a vector of `nwords` words, at least 1: of `slice_words` at most, 0 standing for the default; and at least
/// four, so that stations overlap and threads share the work, unless slices or chunks would become tiny. It depends on
/// nothing in which ranks may differ: all must cut alike.
constexpr std::size_t sliceCount(std::size_t nwords, std::size_t slice_words, int nranks) {
  constexpr std::size_t kFewestSlices = 4;
  constexpr std::size_t kSmallestSliceWords = 4096;
  constexpr std::size_t kSmallestChunkWords = 512;
  const std::size_t most = slice_words == 0 ? defaultSliceWords(nranks) : slice_words;
  const std::size_t smallest = std::max(kSmallestSliceWords, static_cast<std::size_t>(nranks) * kSmallestChunkWords);
  if (nwords <= most && nwords < smallest) return 1;  // spares small vectors the divisions
  const std::size_t needed = nwords / most + (nwords % most == 0 ? 0 : 1);
  return std::max({std::size_t{1}, needed, std::min(kFewestSlices, nwords / smallest)});
}

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_CHUNK_H_
