// SPDX-License-Identifier: Apache-2.0
#include "exec/stations.h"

#include <algorithm>
#include <vector>

#include "base/per_thread.h"
#include "exec/pieces.h"
#include "kernels/random_ties.h"

namespace signccl {
namespace {

/// Planes of a slot in memory; plane p begins at words + p * stride.
struct SlotView {
  Word* words;
  std::size_t stride;

  [[nodiscard]] ConstPlanes planes(int nplanes) const { return {words, stride, nplanes}; }
  [[nodiscard]] Word* plane(int number) const { return words + static_cast<std::size_t>(number) * stride; }
};

/// Signs, counts or results of a run that covers `words` of the slice.
SlotView view(const StationContext& context, const Slice& slice, SlotKind kind, int first_chunk, WordRange words) {
  const SlotRange range = context.layout->locate(kind, first_chunk, words, slice.nwords);
  return {(range.is_external ? slice.external : slice.memory) + range.offset, range.stride};
}

/// A source of a kCount step: planes that are only read.
ConstPlanes sourcePlanes(const StationContext& context, const Slice& slice, const CountSource& source,
                         WordRange words) {
  if (source.slot.kind == SlotKind::kInbox) {
    return {slice.inboxes[static_cast<std::size_t>(source.slot.index)], words.size, source.planes};
  }
  return view(context, slice, source.slot.kind, source.slot.index, words).planes(source.planes);
}

/// Calls visit(run) for pieces of the slice whose planes of `kind` lie at one stride: all of it, or each chunk.
template <typename Visit>
void forEachUniformRun(const StationContext& context, SlotKind kind, Visit&& visit) {
  const int nchunks = context.plan->nchunks;
  if (context.plan->by_plane[static_cast<std::size_t>(kind)]) return visit(ChunkRun{0, nchunks});
  for (int chunk = 0; chunk < nchunks; ++chunk) visit(ChunkRun{chunk, 1});
}

/// Sums up the operands of one kCount step in the step's target, which widens as it must.
class Summation {
 public:
  Summation(const Kernels& kernels, SlotView target, std::size_t nwords, const CountTarget& rule)
      : kernels_(kernels), target_(target), nwords_(nwords), rule_(rule), planes_(rule.before_planes) {}

  void addCounter(ConstPlanes counter) {
    const int sum_planes = std::min(rule_.sum_planes, std::max(planes_, counter.nplanes) + (planes_ > 0 ? 1 : 0));
    kernels_.merge(target_.planes(planes_), counter, nwords_, {target_.words, target_.stride, sum_planes});
    planes_ = sum_planes;
  }

  /// Adds planes of one vote each: all at once if nothing was counted before.
  void addVotes(std::span<const Word* const> votes) {
    if (planes_ == 0 && !votes.empty()) {
      planes_ = planesFor(votes.size());
      kernels_.count(votes.data(), static_cast<int>(votes.size()), nwords_, {target_.words, target_.stride, planes_});
      return;
    }
    for (const Word* vote : votes) addCounter({vote, nwords_, 1});
  }

  [[nodiscard]] int planes() const { return planes_; }

 private:
  const Kernels& kernels_;
  SlotView target_;
  std::size_t nwords_;
  const CountTarget& rule_;
  int planes_;
};

/// True if counts come modulo a power of two, and the own votes complete them.
bool lackPlane(const CountRules& rules) { return resultPlanes(rules) < fullPlanes(rules); }

/// Completes counts that lack a plane where somebody else decodes them. Signs and counts lie plane by plane then.
void restoreCounts(const StationContext& context, const Slice& slice) {
  const CountRules& rules = context.plan->rules;
  if (rules.op != SignOp::kAvg || !lackPlane(rules)) return;
  const int low_planes = resultPlanes(rules);
  const WordRange words{0, slice.nwords};
  const SlotView counts = view(context, slice, SlotKind::kResult, 0, words);
  const SlotView own = view(context, slice, SlotKind::kSigns, 0, words);
  const bool is_ternary = rules.votes_per_rank == 2;
  context.kernels->restoreTop(counts.planes(low_planes), is_ternary ? own.plane(0) : nullptr,
                              own.plane(is_ternary ? 1 : 0), words.size, counts.plane(low_planes));
}

/// The slots whose uniform runs results are decoded in. Signs that complete counts may lie chunk by chunk where results
/// lie plane by plane.
SlotKind decodedKind(const Plan& plan) {
  const bool reads_planes_of_signs =
      plan.rules.op == SignOp::kAvg && lackPlane(plan.rules) && plan.rules.votes_per_rank == 2;
  const bool signs_by_plane = plan.by_plane[static_cast<std::size_t>(SlotKind::kSigns)];
  return reads_planes_of_signs && !signs_by_plane ? SlotKind::kSigns : SlotKind::kResult;
}

/// The counts of a run as Kernels::decodeAvg() takes them: complete, or with the own votes.
Counts countsOf(const StationContext& context, const Slice& slice, ChunkRun run, WordRange words) {
  const CountRules& rules = context.plan->rules;
  const SlotView results = view(context, slice, SlotKind::kResult, run.first, words);
  const Counts counts = results.planes(resultPlanes(rules));
  if (!lackPlane(rules)) return counts;
  return {counts.planes, view(context, slice, SlotKind::kSigns, run.first, words).plane(0)};
}

/// Counts from word `word` on.
Counts countsFrom(const Counts& counts, std::size_t word) {
  const ConstPlanes planes{counts.planes.words + word, counts.planes.stride, counts.planes.nplanes};
  return {planes, counts.own == nullptr ? nullptr : counts.own + word};
}

}  // namespace

std::uint32_t encodeSlice(const StationContext& context, const Slice& slice) {
  const Kernels& kernels = *context.kernels;
  const Batch& batch = *context.batch;
  std::uint32_t note = 0;
  const auto encode = [&](const Piece& piece, Word* positive, Word* nonnegative) {
    const Source& source = piece.segment.source;
    if (batch.is_sum) {
      note |= noteOfSum(piece.index,
                        source.kind->encodeSum(source, kernels, piece.element, piece.count, positive, nonnegative));
    } else {
      source.kind->encode(source, kernels, piece.element, piece.count, positive, nonnegative);
    }
  };
  if (batch.rules.votes_per_rank == 1) {
    // One plane: the chunks lie one after the other, so the slice is encoded as a whole.
    const SlotView signs = view(context, slice, SlotKind::kSigns, 0, {0, slice.nwords});
    forEachPiece(batch, slice.word_begin, slice.nwords,
                 [&](const Piece& piece) { encode(piece, nullptr, signs.words + piece.word); });
    return note;
  }
  forEachUniformRun(context, SlotKind::kSigns, [&](ChunkRun run) {
    const WordRange words = context.wordsOf(slice, run);
    const SlotView signs = view(context, slice, SlotKind::kSigns, run.first, words);
    forEachPiece(batch, slice.word_begin + words.begin, words.size,
                 [&](const Piece& piece) { encode(piece, signs.plane(0) + piece.word, signs.plane(1) + piece.word); });
  });
  return note;
}

void countVotes(const StationContext& context, const Slice& slice, const PlanStep& step) {
  const WordRange words = context.wordsOf(slice, step.run);
  const CountTarget& rule = context.plan->count_targets[static_cast<std::size_t>(step.detail)];
  const SlotView target = view(context, slice, SlotKind::kCounts, step.run.first, words);
  Summation sum(*context.kernels, target, words.size, rule);
  auto& votes = PerThread<std::vector<const Word*>, struct Votes>::get();  // keeps its room from call to call
  votes.clear();
  for (const CountSource& source : context.plan->sourcesOf(step)) {
    if (!source.is_signs) continue;
    const ConstPlanes signs = sourcePlanes(context, slice, source, words);
    for (int plane = 0; plane < source.planes; ++plane) {
      votes.push_back(signs.words + static_cast<std::size_t>(plane) * signs.stride);
    }
  }
  sum.addVotes(votes);
  for (const CountSource& source : context.plan->sourcesOf(step)) {
    if (!source.is_signs) sum.addCounter(sourcePlanes(context, slice, source, words));
  }
  if (rule.clamps) {
    context.kernels->clamp(target.planes(sum.planes()), rule.low, rule.high, words.size,
                           {target.words, target.stride, rule.planes});
  }
}

void decideChunk(const StationContext& context, const Slice& slice, const PlanStep& step) {
  const Batch& batch = *context.batch;
  if (batch.rules.op == SignOp::kAvg) return;  // the counts are the result, see Layout
  const WordRange words = context.wordsOf(slice, step.run);
  const DecideRule& rule = context.plan->decide_rules[static_cast<std::size_t>(step.detail)];
  const SlotView counts = view(context, slice, SlotKind::kCounts, step.run.first, words);
  const SlotView results = view(context, slice, SlotKind::kResult, step.run.first, words);
  const auto decide = [&](std::size_t word, std::size_t nwords, TieBits ties) {
    context.kernels->decide({counts.words + word, counts.stride, rule.planes}, rule.threshold, rule.has_ties, ties,
                            nwords, results.plane(0) + word,
                            batch.rules.ternary_result ? results.plane(1) + word : nullptr);
  };
  switch (batch.tie) {
    case TieRule::kZero:
    case TieRule::kNegative:
      return decide(0, words.size, sameTies(0));
    case TieRule::kPositive:
      return decide(0, words.size, sameTies(~Word{0}));
    case TieRule::kRandom:
      break;
  }
  forEachPiece(batch, slice.word_begin + words.begin, words.size, [&](const Piece& piece) {
    decide(piece.word, wordsFor(piece.count),
           randomTies(piece.segment.call, piece.segment.first_word + piece.element / kWordBits));
  });
}

namespace {

void decodeCounts(const StationContext& context, const Slice& slice, ChunkRun run, WordRange words) {
  const Batch& batch = *context.batch;
  const Counts counts = countsOf(context, slice, run, words);
  forEachPiece(batch, slice.word_begin + words.begin, words.size, [&](const Piece& piece) {
    const Sink& sink = piece.segment.sink;
    if (batch.is_sum && !fitsSigns(metOfSum(slice.note, piece.index), batch.rules.votes_per_rank)) return;
    sink.kind->decodeAvg(sink, *context.kernels, countsFrom(counts, piece.word), context.means[piece.index]->data(),
                         piece.element, piece.count, context.store);
  });
}

void decodeVotes(const StationContext& context, const Slice& slice, ChunkRun run, WordRange words) {
  const Batch& batch = *context.batch;
  const SlotView results = view(context, slice, SlotKind::kResult, run.first, words);
  forEachPiece(batch, slice.word_begin + words.begin, words.size, [&](const Piece& piece) {
    const Sink& sink = piece.segment.sink;
    sink.kind->decodeVote(sink, *context.kernels, results.plane(0) + piece.word,
                          batch.rules.ternary_result ? results.plane(1) + piece.word : nullptr, piece.element,
                          piece.count, context.store);
  });
}

}  // namespace

void decodeSlice(const StationContext& context, const Slice& slice) {
  if ((slice.note & kVetoNote) != 0) return;
  const Batch& batch = *context.batch;
  if (batch.ends != nullptr) return restoreCounts(context, slice);
  forEachUniformRun(context, decodedKind(*context.plan), [&](ChunkRun run) {
    const WordRange words = context.wordsOf(slice, run);
    if (words.size == 0) return;
    batch.rules.op == SignOp::kAvg ? decodeCounts(context, slice, run, words) : decodeVotes(context, slice, run, words);
  });
}

std::uint32_t runStation(const StationContext& context, const Slice& slice, std::int32_t station) {
  if (station == kEncodeStation) return encodeSlice(context, slice);
  if (station == kDecodeStation) {
    decodeSlice(context, slice);
    return 0;
  }
  const PlanStep& step = context.plan->steps[static_cast<std::size_t>(station)];
  step.kind == StepKind::kCount ? countVotes(context, slice, step) : decideChunk(context, slice, step);
  return 0;
}

std::span<Word> messageWords(const StationContext& context, const Slice& slice, const PlanStep& step) {
  const WordRange words = context.wordsOf(slice, step.run);
  const std::size_t nwords = static_cast<std::size_t>(step.planes) * words.size;
  if (step.is_staged) return {slice.memory + context.layout->staging(step.number), nwords};
  if (step.slot.kind == SlotKind::kInbox) return {slice.memory + context.layout->inbox(step.slot.index), nwords};
  return {view(context, slice, step.slot.kind, step.run.first, words).words, nwords};
}

void gatherMessage(const StationContext& context, const Slice& slice, const PlanStep& step) {
  const WordRange words = context.wordsOf(slice, step.run);
  const SlotView source = view(context, slice, step.slot.kind, step.run.first, words);
  Word* message = messageWords(context, slice, step).data();
  for (int plane = 0; plane < step.planes; ++plane, message += words.size) {
    std::copy_n(source.plane(plane), words.size, message);
  }
}

void scatterMessage(const StationContext& context, const Slice& slice, const PlanStep& step) {
  const WordRange words = context.wordsOf(slice, step.run);
  const SlotView target = view(context, slice, step.slot.kind, step.run.first, words);
  const Word* message = messageWords(context, slice, step).data();
  for (int plane = 0; plane < step.planes; ++plane, message += words.size) {
    std::copy_n(message, words.size, target.plane(plane));
  }
}

}  // namespace signccl
