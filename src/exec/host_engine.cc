// SPDX-License-Identifier: Apache-2.0
#include "exec/host_engine.h"

#include <algorithm>

#include "base/error.h"
#include "schedule/slices.h"

namespace signccl {
namespace {

/// Lanes beyond one for each thread: enough for a slice that waits for messages at each end of one that computes.
constexpr std::size_t kExtraLanes = 3;

std::size_t divideUp(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

}  // namespace

HostEngine::HostEngine(const Kernels& kernels, std::unique_ptr<Transport> transport, const HostEngineOptions& options,
                       TraceBuffer* trace)
    : options_(options),
      is_traced_(trace != nullptr),
      transport_(std::move(transport)),
      lanes_(*transport_, options.nthreads, trace),
      one_round_(*transport_) {
  context_.kernels = &kernels;
  context_.layout = &layout_;
}

void HostEngine::start(const Plan& plan, const Batch& batch) {
  SIGNCCL_ASSERT(finished() && batch.nwords > 0);
  context_.plan = &plan;
  context_.batch = &batch;
  context_.nslices = sliceCount(batch.nwords, options_.slice_bytes / sizeof(Word), batch.rules);
  const bool streams = batch.ends == nullptr && batch.userBytes() >= options_.streaming_bytes;
  context_.store = streams ? Store::kStreaming : Store::kCached;
  context_.encodes_first = context_.nslices > 1 && batch.mustEncodeFirst();  // a single slice is encoded first anyway
  SIGNCCL_ASSERT(plan.has_external_ends == (batch.ends != nullptr));
  if (batch.rules.op == SignOp::kAvg && batch.ends == nullptr) prepareMeans();
  const std::size_t overlapping = static_cast<std::size_t>(options_.nthreads) + kExtraLanes;
  const std::size_t nlanes = context_.encodes_first ? context_.nslices : std::min(context_.nslices, overlapping);
  const Shape shape{&plan, batch.nwords, context_.nslices, nlanes};
  if (shape != shape_) prepare(shape);
  is_finished_ = false;
  if (batch.ends != nullptr) waits_for_signs_since_ = std::chrono::steady_clock::now();
  active_->start();
  needs_flush_ = active_->finished();
}

void HostEngine::prepareMeans() {
  const CountRules& rules = context_.batch->rules;
  if (mean_rules_.nranks != rules.nranks || mean_rules_.votes_per_rank != rules.votes_per_rank) {
    mean_tables_ = {};
    sum_tables_ = {};
    mean_rules_ = rules;
  }
  const CountMeaning meaning = context_.batch->is_sum ? CountMeaning::kSum : CountMeaning::kMean;
  MeanTables& tables = meaning == CountMeaning::kSum ? sum_tables_ : mean_tables_;
  means_.clear();
  for (const Segment& segment : context_.batch->segments) {
    const ElementType type = segment.sink.kind->meanType(segment.sink);
    std::unique_ptr<MeanTable>& table = tables.at(static_cast<std::size_t>(type));
    if (!table) table = std::make_unique<MeanTable>(type, rules, meaning);
    means_.push_back(table.get());
  }
  context_.means = means_;
}

void HostEngine::prepare(const Shape& shape) {
  shape_ = {};  // until everything fits
  const std::size_t slice_words = divideUp(shape.nwords, shape.nslices);
  layout_.build(*shape.plan, slice_words);
  Word* const memory = scratch_.reserve(shape.nlanes * layout_.totalWords());
  // A trace shows the stations and messages of lanes.
  const bool has_one_round =
      shape.nslices == 1 && slice_words < kSmallestPoolWords && !is_traced_ && OneRoundEngine::canRun(*shape.plan);
  active_ = has_one_round ? static_cast<InnerEngine*>(&one_round_) : &lanes_;
  active_->prepare(context_, shape.nlanes, memory);
  shape_ = shape;
}

bool HostEngine::progress() {
  bool moved = active_->progress();
  if (moved) needs_flush_ = active_->finished() && !is_finished_;
  if (needs_flush_ && transport_->flush()) {
    needs_flush_ = false;
    moved = is_finished_ = true;
  }
  return moved;
}

/// Nothing wakes the thread when signs arrive. It looks often at first, since they may be there in microseconds, and
/// then after a small part of the time that it has waited already, since it may be hours.
void HostEngine::wait(std::chrono::microseconds longest) {
  constexpr std::chrono::microseconds kShortest{20};
  constexpr int kPart = 64;
  if (lacksOwnSigns()) {
    const auto waited = std::chrono::steady_clock::now() - waits_for_signs_since_;
    const auto part = std::chrono::duration_cast<std::chrono::microseconds>(waited / kPart);
    longest = std::min(longest, std::max(part, kShortest));
  }
  transport_->wait(longest);
}

void HostEngine::abandon() noexcept {
  active_->abandon();
  is_finished_ = true;
  needs_flush_ = false;
  try {
    if (auto memory = scratch_.share()) transport_->keepAlive(std::move(memory));
  } catch (const std::bad_alloc&) {
    scratch_.leak();
  }
}

std::vector<Rank> HostEngine::awaitedPeers() const {
  std::vector<Rank> peers = active_->peersOf(StepKind::kRecv);
  if (peers.empty()) peers = active_->peersOf(StepKind::kSend);
  std::ranges::sort(peers);
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  return peers;
}

}  // namespace signccl
