// SPDX-License-Identifier: Apache-2.0
#include "exec/lane_engine.h"

#include <algorithm>

namespace signccl {

LaneEngine::LaneEngine(Transport& transport, int nthreads, TraceBuffer* trace)
    : transport_(transport),
      trace_(trace),
      runner_(makeStationRunner(nthreads, [&transport] { transport.wake(); }, trace)) {}

void LaneEngine::prepare(const StationContext& context, std::size_t nlanes, Word* memory) {
  context_ = &context;
  nlanes_ = nlanes;
  has_small_slices_ = context.sliceRange(0).size < kSmallestPoolWords;
  while (lanes_.size() < nlanes) lanes_.push_back(std::make_unique<Lane>());
  for (std::size_t i = 0; i < nlanes; ++i) {
    lanes_[i]->prepare(*context.plan, i, memory + i * context.layout->totalWords());
  }
}

void LaneEngine::start() {
  lanes_left_ = nlanes_;
  next_slice_ = 0;
  encodes_left_ = context_->nslices;
  without_signs_.clear();
  results_left_ = context_->nslices;
  notes_ = {0, ownNote(*context_)};
  for (std::size_t i = 0; i < nlanes_; ++i) startSlice(*lanes_[i]);
  // The first messages of a small vector leave before the first look at the transport.
  if (has_small_slices_) runStations();
}

void LaneEngine::startSlice(Lane& lane) {
  const WordRange range = context_->sliceRange(next_slice_);
  lane.begin(*context_->plan, next_slice_, range, ownNote(*context_));
  ++next_slice_;
  if (ExternalEnds* const ends = context_->batch->ends) {
    lane.slice.external = ends->memoryOf(lane.slice.number);
    without_signs_.push_back(&lane);
  } else {
    startStation(lane, kEncodeStation);
  }
  for (const std::int32_t step : context_->plan->at_start) ready_.push_back({&lane, step});
}

bool LaneEngine::progress() {
  transport_.progress(completed_);
  bool moved = !completed_.empty();
  if (!without_signs_.empty() && takeSigns()) moved = true;
  for (Request* request : completed_) completeRequest(*request);
  completed_.clear();
  if (lanes_left_ > 0 && runStations()) moved = true;
  return moved;
}

/// Starts the slices whose signs are there by now. True if there are any.
bool LaneEngine::takeSigns() {
  ExternalEnds& ends = *context_->batch->ends;
  return std::erase_if(without_signs_, [&](Lane* lane) {
           if (!ends.hasSigns(lane->slice.number)) return false;
           const std::uint32_t note = ends.note(lane->slice.number);
           lane->slice.note |= note;
           notes_.own |= note;
           completeEncode(*lane);
           return true;
         }) > 0;
}

/// Starts what can start and completes a station; of small slices all that there are. True if one was completed.
bool LaneEngine::runStations() {
  bool ran = false;
  do {
    startReady();
    done_.clear();
    if (!runner_->poll(done_)) break;
    for (const StationWork& work : done_) completeStation(*lanes_[work.lane], work);
    ran = true;
  } while (has_small_slices_);
  startReady();
  return ran;
}

void LaneEngine::startReady() {
  while (!ready_.empty()) {
    const Ready next = ready_.back();
    ready_.pop_back();
    startStep(*next.lane, next.step);
  }
}

void LaneEngine::startStep(Lane& lane, std::int32_t number) {
  const PlanStep& step = context_->plan->steps[static_cast<std::size_t>(number)];
  if (context_->wordsOf(lane.slice, step.run).size == 0) {
    completeStep(lane, number);
  } else if (step.kind == StepKind::kSend || step.kind == StepKind::kRecv) {
    startMessage(lane, number, step);
  } else {
    startStation(lane, number);
  }
}

void LaneEngine::startMessage(Lane& lane, std::int32_t number, const PlanStep& step) {
  const std::span<Word> words = messageWords(*context_, lane.slice, step);
  const Tag tag{context_->batch->exchange, static_cast<std::uint32_t>(lane.slice.number), step.ordinal,
                context_->batch->digest};
  Request& request = lane.requests[static_cast<std::size_t>(number)];
  request.user = lane.requestId(number);
  lane.awaited[static_cast<std::size_t>(number)] = 1;
  if (trace_ != nullptr) lane.started_ns[static_cast<std::size_t>(number)] = nowNs();
  if (step.kind == StepKind::kSend) {
    request.note = lane.slice.note;
    if (step.is_staged) gatherMessage(*context_, lane.slice, step);
    transport_.send(step.peer, tag, std::as_bytes(words), request);
  } else {
    const Landing landing = step.slot.kind == SlotKind::kInbox ? Landing::kBorrow : Landing::kCopy;
    transport_.recv(step.peer, tag, std::as_writable_bytes(words), landing, request);
  }
}

void LaneEngine::completeRequest(Request& request) {
  Lane& lane = *lanes_[Lane::laneOf(request.user)];
  const std::int32_t number = Lane::stepOf(request.user);
  const PlanStep& step = context_->plan->steps[static_cast<std::size_t>(number)];
  lane.awaited[static_cast<std::size_t>(number)] = 0;
  if (step.kind == StepKind::kRecv) {
    lane.slice.note |= request.note;
    if (step.slot.kind == SlotKind::kInbox) {
      const auto inbox = static_cast<std::size_t>(step.slot.index);
      lane.inboxes[inbox] = reinterpret_cast<const Word*>(request.data.data());
      lane.inbox_requests[inbox] = &request;
    } else if (step.is_staged) {
      scatterMessage(*context_, lane.slice, step);
    }
  }
  if (trace_ != nullptr) traceMessage(lane, step);
  completeStep(lane, number);
}

void LaneEngine::traceMessage(const Lane& lane, const PlanStep& step) {
  trace_->add({step.kind == StepKind::kSend ? TraceKind::kSend : TraceKind::kReceive,
               static_cast<std::int32_t>(lane.slice.number), step.run.first, step.peer, lane.started_ns[step.number],
               nowNs(), messageWords(*context_, lane.slice, step).size_bytes()});
}

void LaneEngine::startStation(const Lane& lane, std::int32_t station) {
  runner_->post({context_, &lane.slice, lane.number, station});
}

void LaneEngine::completeStation(Lane& lane, const StationWork& work) {
  if (work.station == kEncodeStation) {
    notes_.own |= work.note;
    lane.slice.note |= work.note;
    completeEncode(lane);
  } else if (work.station == kDecodeStation) {
    lane.decoded = true;
    endSliceIfDone(lane);
  } else {
    completeStep(lane, work.station);
  }
}

void LaneEngine::completeEncode(Lane& lane) {
  --encodes_left_;
  if (context_->batch->mustCheckFirst()) return completeCheck();
  startWaiting(lane, context_->plan->after_encode);
  // The last slice to be encoded lets the others write their results.
  if (context_->encodes_first && encodes_left_ == 0) {
    for (std::size_t i = 0; i < nlanes_; ++i) decodeIfReady(*lanes_[i]);
  }
}

/// A rank that has any result may write, so its first message must say what all of its values are. All slices are on
/// lanes.
void LaneEngine::completeCheck() {
  if (encodes_left_ > 0) return;
  for (std::size_t i = 0; i < nlanes_; ++i) {
    lanes_[i]->slice.note |= notes_.own;
    startWaiting(*lanes_[i], context_->plan->after_encode);
  }
}

void LaneEngine::completeStep(Lane& lane, std::int32_t number) {
  const PlanStep& step = context_->plan->steps[static_cast<std::size_t>(number)];
  if (step.kind == StepKind::kCount) releaseInboxes(lane, step);
  startWaiting(lane, context_->plan->dependentsOf(step));
  --lane.steps_left;
  if (step.writes_result && --lane.results_left == 0) completeResults(lane);
  endSliceIfDone(lane);
}

/// One of the things that `steps` wait for is complete.
void LaneEngine::startWaiting(Lane& lane, std::span<const std::int32_t> steps) {
  for (const std::int32_t waiting : steps) {
    if (--lane.waits_for[static_cast<std::size_t>(waiting)] == 0) ready_.push_back({&lane, waiting});
  }
}

void LaneEngine::releaseInboxes(Lane& lane, const PlanStep& step) {
  for (const CountSource& source : context_->plan->sourcesOf(step)) {
    if (source.slot.kind != SlotKind::kInbox) continue;
    Request*& request = lane.inbox_requests[static_cast<std::size_t>(source.slot.index)];
    if (request != nullptr) transport_.release(*request);
    request = nullptr;
  }
}

void LaneEngine::completeResults(Lane& lane) {
  --results_left_;
  notes_.all |= lane.slice.note;
  if (!context_->batch->mustCheckFirst() || (notes_.all & kPartialNote) == 0) return decodeIfReady(lane);
  // Another rank says of each slice what it has met there, so none is taken before all have come.
  if (results_left_ > 0) return;
  for (std::size_t i = 0; i < nlanes_; ++i) {
    lanes_[i]->slice.note = notes_.all;
    decodeIfReady(*lanes_[i]);
  }
}

void LaneEngine::decodeIfReady(Lane& lane) {
  if (lane.results_left > 0 || lane.decoding || (context_->encodes_first && encodes_left_ > 0)) return;
  lane.decoding = true;
  startStation(lane, kDecodeStation);
}

void LaneEngine::endSliceIfDone(Lane& lane) {
  if (lane.steps_left > 0 || !lane.decoded) return;
  if (ExternalEnds* const ends = context_->batch->ends) {
    ends->end(lane.slice.number, lane.slice.note);
  }
  if (next_slice_ < context_->nslices) {
    startSlice(lane);
  } else {
    --lanes_left_;
  }
}

void LaneEngine::abandon() noexcept {
  runner_->drain();
  ready_.clear();
  without_signs_.clear();
  lanes_left_ = 0;
}

std::vector<Rank> LaneEngine::peersOf(StepKind kind) const {
  std::vector<Rank> peers;
  for (std::size_t i = 0; i < nlanes_; ++i) {
    const Lane& lane = *lanes_[i];
    for (std::size_t number = 0; number < lane.awaited.size(); ++number) {
      const PlanStep& step = context_->plan->steps[number];
      if (lane.awaited[number] != 0 && step.kind == kind) peers.push_back(step.peer);
    }
  }
  return peers;
}

}  // namespace signccl
