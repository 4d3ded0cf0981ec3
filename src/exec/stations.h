// SPDX-License-Identifier: Apache-2.0
// The stations that the data of one slice passes: encode, count, decide, decode. Each turns slots and segments into
// calls of kernels. Pure work on memory: no messages, no threads, no order.
#ifndef SIGNCCL_EXEC_STATIONS_H_
#define SIGNCCL_EXEC_STATIONS_H_

#include <cstdint>
#include <span>

#include "exec/batch.h"
#include "exec/layout.h"
#include "exec/mean_table.h"
#include "exec/notes.h"
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

  /// What goes with every message of the slice, see notes.h. A result depends on votes of all ranks, and what a
  /// message holds on those whose notes its sender has: when a slice has its results, it has the notes of all ranks.
  std::uint32_t note = 0;

  Word* external = nullptr;  ///< memory of ExternalEnds, if the plan has those
};

/// What the stations of one exchange work with; the same for all slices.
struct StationContext {
  const Kernels* kernels = nullptr;
  const Plan* plan = nullptr;
  const Batch* batch = nullptr;
  const Layout* layout = nullptr;
  std::span<const MeanTable* const> means;  ///< avg: [segments] table of the values that each segment's sink wants
  Store store = Store::kCached;
  std::size_t nslices = 1;
  bool encodes_first = false;  ///< no slice is decoded before all are encoded

  [[nodiscard]] WordRange sliceRange(std::size_t slice) const {
    return chunkRange(batch->nwords, static_cast<int>(nslices), static_cast<int>(slice));
  }
  /// Words of the slice that a run of chunks covers.
  [[nodiscard]] WordRange wordsOf(const Slice& slice, ChunkRun run) const {
    return chunkRange(slice.nwords, plan->nchunks, run);
  }
};

/// The note of this rank's messages of an exchange before it has received any; of a sum, what encodeSlice() gives comes
/// to it.
inline std::uint32_t ownNote(const StationContext& context) {
  const Batch& batch = *context.batch;
  const bool is_partial = batch.discards_misfits && batch.ends == nullptr && context.nslices > 1;
  return (batch.vetoes ? kVetoNote : 0) | (is_partial ? kPartialNote : 0);
}

/// Numbers of the stations that are not steps of a plan.
inline constexpr std::int32_t kEncodeStation = -1;
inline constexpr std::int32_t kDecodeStation = -2;

/// Runs one of the stations below: kEncodeStation, kDecodeStation, or the kCount or kDecide step of that number. Gives
/// what encodeSlice() gives, else 0. Throws std::bad_alloc only.
std::uint32_t runStation(const StationContext& context, const Slice& slice, std::int32_t station);

/// Segments of the slice -> signs of all chunks. Gives the note of what their sources have met, 0 unless the exchange
/// is a sum.
std::uint32_t encodeSlice(const StationContext& context, const Slice& slice);

/// One kCount step.
void countVotes(const StationContext& context, const Slice& slice, const PlanStep& step);

/// One kDecide step.
void decideChunk(const StationContext& context, const Slice& slice, const PlanStep& step);

/// Results of all chunks -> segments of the slice, unless somebody else decodes them. Segments that the slice's note
/// forbids are left alone.
void decodeSlice(const StationContext& context, const Slice& slice);

/// The words that a send or receive moves: those of its slot, or of its staging if is_staged.
std::span<Word> messageWords(const StationContext& context, const Slice& slice, const PlanStep& step);

/// Puts the message of a staged send together, before it is sent.
void gatherMessage(const StationContext& context, const Slice& slice, const PlanStep& step);

/// Copies the parts of a staged message, which has arrived, to where they belong.
void scatterMessage(const StationContext& context, const Slice& slice, const PlanStep& step);

}  // namespace signccl

#endif  // SIGNCCL_EXEC_STATIONS_H_
