// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_call.h"

#include <utility>

#include "base/log.h"
#include "exec/external_ends.h"
#include "nccl/nccl_counting.h"
#include "nccl/nccl_error.h"
#include "nccl/nccl_group.h"
#include "nccl/nccl_messages.h"

namespace signccl {

NcclCall::NcclCall(NcclRank& rank, Batch batch, const NcclLayout& layout, const NcclEnds& ends, NcclPlace place,
                   CudaStream stream)
    : rank_(rank), batch_(std::move(batch)), layout_(layout), ends_(ends), place_(std::move(place)), stream_(stream) {}

NcclCall::~NcclCall() {
  if (is_finished_) return;
  try {
    const RelaxedCapture relaxed(rank_.device()->device()->driver());
    const ContextScope scope(*rank_.device()->device());
    if (is_on_lane_) place_.lane->join(stream_);
    release();
  } catch (const std::exception& error) {
    log(LogLevel::kInfo, Subsystem::kColl, rank_.comm().rank(), "after a failure: ", error.what());
  }
}

/// Of a call in a graph, else null.
std::uint32_t* NcclCall::replayNumber() const {
  return place_.replay ? reinterpret_cast<std::uint32_t*>(memory().words(layout_.replayOffset())) : nullptr;
}

void NcclCall::enqueueSigns() {
  if (place_.replay) {
    rank_.device()->launch(DeviceKernel::count_replay,
                           CountReplayArguments{memory().begun().devicePointer(), replayNumber(), place_.replay->call(),
                                                memory().words(layout_.checkOffset())},
                           1, stream_);
  } else {
    rank_.device()->enqueueWrite(stream_, memory().begun().address(), place_.room->number);
  }
  for (std::size_t number = 0; number < layout_.nslices(); ++number) {
    const WordRange slice = layout_.slice(number);
    ends_.kernels.encode(batch_, slice, memory().address(layout_.signsOffset(slice)), stream_);
    if (place_.lane != nullptr) place_.lane->noteEncoded(number, stream_);
  }
}

void NcclCall::open() {
  try {
    const RelaxedCapture relaxed(rank_.device()->device()->driver());
    const ContextScope scope(*rank_.device()->device());
    openRound();
  } catch (...) {
    rank_.failWith(std::current_exception());
  }
}

void NcclCall::openRound() {
  if (!is_set_up_) {
    connect();
  } else if (!isDone() && layout_.schedule() != NcclSchedule::kAlone) {
    if (place_.lane != nullptr && hasSigns()) beginOnLane();
    openGroup();
    enqueueMessages();
  }
}

/// The messages of the round come after the signs, and after the calls before.
void NcclCall::beginOnLane() {
  if (round_ == 0) rank_.followOnLane(place_);
  is_on_lane_ = true;
  place_.lane->awaitEncoded(round_);
}

/// The first round, in which nothing but the communicator of NCCL is made, if it is not there.
void NcclCall::connect() {
  if (rank_.isReady()) return;
  const NcclUniqueId id = rank_.awaitId();
  is_connecting_ = true;
  if (NcclHandle const parent = rank_.comm().options().nccl_parent) {
    return rank_.nccl().beginSplit(parent, rank_.comm().rank());
  }
  openGroup();
  rank_.nccl().begin(rank_.comm().nranks(), id, rank_.comm().rank());
}

void NcclCall::openGroup() {
  visit_ = rank_.nccl().enter();
  NcclGroup::current().start(rank_.nccl().nccl());
  is_in_group_ = true;
}

void NcclCall::close() noexcept {
  if (is_in_group_) NcclGroup::current().end(rank_.nccl().nccl());
}

bool NcclCall::enqueueRound() {
  try {
    const RelaxedCapture relaxed(rank_.device()->device()->driver());
    const ContextScope scope(*rank_.device()->device());
    return finishRound();
  } catch (...) {
    rank_.failWith(std::current_exception());
  }
}

/// True if there is another round.
bool NcclCall::finishRound() {
  const bool was_in_group = std::exchange(is_in_group_, false);
  const bool was_connecting = std::exchange(is_connecting_, false);
  if (was_in_group) checkGroup();
  if (was_in_group || was_connecting) rank_.settle();
  if (std::exchange(is_set_up_, true) && !isDone()) {
    enqueueKernels();
    ++round_;
  }
  if (!isDone()) return true;
  finish();
  return false;
}

/// Of an error in the group all of its communicators are the victims.
void NcclCall::checkGroup() {
  checkNccl(rank_.nccl().nccl(), NcclGroup::current().result(), "ncclGroupEnd", rank_.nccl().handle());
  visit_.reset();
}

void NcclCall::enqueueMessages() {
  const NcclMessages messages(rank_, layout_, memory(), batch_.rules.votes_per_rank);
  if (layout_.schedule() == NcclSchedule::kOneShot) {
    messages.gatherSigns(round_, sideStream());
  } else {
    if (hasSigns()) messages.scatterSigns(round_, sideStream());
    if (hasResults()) messages.gatherResults(resultsSlice(), sideStream());
  }
  if (!hasResults() || resultsSlice() > 0) return;
  if (ends_.veto != nullptr) {
    messages.gatherWord(ends_.veto, layout_.vetoesOffset(), "ncclAllGather of vetoes", sideStream());
  }
  if (place_.replay) {
    messages.gatherWord(memory().words(layout_.checkOffset()), layout_.checksOffset(), "ncclAllGather of checks",
                        sideStream());
  }
}

/// A rank alone has only its own, and nothing is gathered where there are no elements.
const std::uint32_t* NcclCall::vetoed() const {
  const bool is_gathered = layout_.schedule() != NcclSchedule::kAlone && layout_.nslices() > 0;
  if (ends_.veto == nullptr || !is_gathered) return ends_.veto;
  return reinterpret_cast<const std::uint32_t*>(memory().words(layout_.vetoedOffset()));
}

/// What was sent is counted, and what was gathered is decoded; in one shot that is the same slice.
void NcclCall::enqueueKernels() {
  const bool is_counted_first = layout_.schedule() != NcclSchedule::kTwoPhases;
  if (is_counted_first) count(round_);
  if (hasResults()) decode(resultsSlice());
  if (!is_counted_first && hasSigns()) count(round_);
}

void NcclCall::count(std::size_t number) {
  const std::size_t buffer = layout_.resultsBuffer(number);
  if (place_.lane != nullptr && number >= layout_.nresults()) place_.lane->awaitDecoded(buffer);
  const WordRange slice = layout_.slice(number);
  const std::size_t counted = layout_.countedWords(slice);
  const std::size_t begin =
      layout_.schedule() == NcclSchedule::kTwoPhases ? static_cast<std::size_t>(rank_.comm().rank()) * counted : 0;
  const std::size_t votes =
      layout_.schedule() == NcclSchedule::kAlone ? layout_.signsOffset(slice) : layout_.votesOffset();
  const auto ninputs = static_cast<int>(layout_.ninputs());
  const bool has_counts = batch_.rules.op == SignOp::kVote && layout_.ninputs() > kMostDecidedInputs;
  enqueueCount(*rank_.device(),
               {batch_,
                {slice.begin + begin, counted},
                {memory().words(votes), counted, ninputs},
                {memory().words(layout_.resultsOffset(number) + begin), slice.size, externalResultPlanes(batch_.rules)},
                has_counts ? memory().words(layout_.countsOffset()) : nullptr,
                replayNumber()},
               sideStream());
}

/// What the ranks have told each other with the first slice, before it is decoded.
void NcclCall::lookAtOthers() {
  if (ends_.veto != nullptr) {
    enqueueAny(*rank_.device(),
               {{memory().words(layout_.vetoesOffset()), 1, rank_.comm().nranks()},
                memory().words(layout_.vetoedOffset()),
                memory().words(layout_.vetoCountsOffset())},
               stream_);
  }
  if (place_.replay) {
    const auto nranks = static_cast<std::uint32_t>(rank_.comm().nranks());
    rank_.device()->launch(
        DeviceKernel::compare_replays,
        CompareReplaysArguments{memory().words(layout_.checksOffset()), nranks, rank_.power()->statusOnDevice()}, 1,
        stream_);
  }
}

void NcclCall::decode(std::size_t number) {
  if (place_.lane != nullptr) place_.lane->join(stream_);
  if (number == 0 && layout_.schedule() != NcclSchedule::kAlone) lookAtOthers();
  const WordRange slice = layout_.slice(number);
  const std::size_t results = layout_.resultsOffset(number);
  const int nplanes = externalResultPlanes(batch_.rules);
  const bool is_restored = layout_.schedule() == NcclSchedule::kTwoPhases && nplanes > layout_.gatheredPlanes();
  if (is_restored) {
    enqueueRestoreTop(*rank_.device(),
                      {memory().words(layout_.signsOffset(slice)), slice.size, batch_.rules.votes_per_rank},
                      {memory().words(results), slice.size, nplanes}, slice.size, stream_);
  }
  ends_.kernels.decode(batch_, slice, memory().address(results), {rank_.power()->status(), vetoed()}, stream_);
  if (place_.lane != nullptr) place_.lane->noteDecoded(layout_.resultsBuffer(number), stream_);
}

void NcclCall::finish() {
  if (place_.replay) {
    rank_.device()->launch(DeviceKernel::count_replay,
                           CountReplayArguments{memory().ended().devicePointer(), nullptr, 0, nullptr}, 1, stream_);
  } else {
    rank_.device()->enqueueWrite(stream_, memory().ended().address(), place_.room->number);
  }
  is_finished_ = true;
  release();
}

/// Everything that the call does is on the stream.
void NcclCall::release() {
  if (place_.replay) {
    rank_.lastCaptured().record(*place_.capture, stream_);
  } else {
    rank_.memories().release(*place_.room, stream_);
  }
}

}  // namespace signccl
