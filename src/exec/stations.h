// The stations that the data of one slice passes: encode, count, decide, decode. Each turns slots and segments into
// calls of kernels. Pure work on memory: no messages, no threads, no order.
#ifndef SIGNCCL_EXEC_STATIONS_H_
#define SIGNCCL_EXEC_STATIONS_H_

#include <memory>
#include <span>

#include "exec/batch.h"
#include "exec/layout.h"
#include "exec/mean_table.h"
#include "exec/plan.h"
#include "kernels/kernels.h"
#include "schedule/chunk.h"

namespace signccl {

/// One slice of an exchange: words [word_begin, word_begin + nwords) of the batch and the memory of its slots.
struct Slice {
  std::size_t number = 0;
  std::size_t word_begin = 0;
  std::size_t nwords = 0;
  Word* memory = nullptr;
  std::span<const Word*> inboxes;  ///< [ninboxes] where the message in an inbox is
};

/// Everything that stays the same during one exchange.
struct Exchange {
  const Kernels* kernels = nullptr;
  const Plan* plan = nullptr;
  const Batch* batch = nullptr;
  const Layout* layout = nullptr;
  std::span<const MeanTable* const> means;  ///< avg: [segments] table of each segment's recvtype
  Store store = Store::kCached;
  std::size_t nslices = 1;

  [[nodiscard]] WordRange sliceRange(std::size_t slice) const {
    return chunkRange(batch->nwords, static_cast<int>(nslices), static_cast<int>(slice));
  }
  /// Words of the slice that a run of chunks covers.
  [[nodiscard]] WordRange wordsOf(const Slice& slice, ChunkRun run) const {
    return chunkRange(slice.nwords, plan->nchunks, run);
  }
};

/// Elements of the slice -> signs of all chunks.
void encodeSlice(const Exchange& exchange, const Slice& slice);

/// One kCount step.
void countVotes(const Exchange& exchange, const Slice& slice, const PlanStep& step);

/// One kDecide step.
void decideChunk(const Exchange& exchange, const Slice& slice, const PlanStep& step);

/// Results of all chunks -> elements of the slice.
void decodeSlice(const Exchange& exchange, const Slice& slice);

/// The words that a send or receive moves: those of its slot, or of its staging if is_staged.
std::span<Word> messageWords(const Exchange& exchange, const Slice& slice, const PlanStep& step);

/// Puts the message of a staged send together, before it is sent.
void gatherMessage(const Exchange& exchange, const Slice& slice, const PlanStep& step);

/// Takes the message of a staged receive apart, after it has come.
void scatterMessage(const Exchange& exchange, const Slice& slice, const PlanStep& step);

}  // namespace signccl

#endif  // SIGNCCL_EXEC_STATIONS_H_
