// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_call.h"

#include <utility>

#include "base/log.h"
#include "device/driver_error.h"
#include "exec/external_ends.h"
#include "nccl/nccl_counting.h"
#include "nccl/nccl_error.h"
#include "nccl/nccl_group.h"

namespace signccl {

NcclCall::NcclCall(NcclRank& rank, Batch batch, const NcclLayout& layout, const NcclEnds& ends, NcclPlace place,
                   CudaStream stream)
    : rank_(rank), batch_(std::move(batch)), layout_(layout), ends_(ends), place_(std::move(place)), stream_(stream) {}

NcclCall::~NcclCall() {
  if (is_finished_) return;
  try {
    const RelaxedCapture relaxed(rank_.device()->device()->driver());
    const ContextScope scope(*rank_.device()->device());
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
    if (rank_.isReady()) return;
    const NcclUniqueId id = rank_.awaitId();
    openGroup();
    rank_.nccl().begin(rank_.comm().nranks(), id, rank_.comm().rank());
  } else if (layout_.schedule() != NcclSchedule::kAlone) {
    openGroup();
    enqueueMessages();
  }
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
  if (std::exchange(is_in_group_, false)) {
    checkGroup();
    rank_.settle();
  }
  if (std::exchange(is_set_up_, true)) {
    enqueueKernels();
    const bool is_between = layout_.schedule() == NcclSchedule::kTwoPhases && !is_counted_;
    is_counted_ = is_between;
    if (!is_between) ++slice_;
  }
  if (slice_ < layout_.nslices()) return true;
  finish();
  return false;
}

/// Of an error in the group all of its communicators are the victims.
void NcclCall::checkGroup() {
  checkNccl(rank_.nccl().nccl(), NcclGroup::current().result(), "ncclGroupEnd", rank_.nccl().handle());
  visit_.reset();
}

void NcclCall::enqueueMessages() {
  const WordRange slice = layout_.slice(slice_);
  const bool is_one_shot = layout_.schedule() == NcclSchedule::kOneShot;
  if (!is_one_shot && !is_counted_) return scatterSigns(slice);
  is_one_shot ? gatherSigns(slice) : gatherResults(slice);
  if (slice_ > 0) return;
  if (ends_.veto != nullptr) gatherWord(ends_.veto, layout_.vetoesOffset(), "ncclAllGather of vetoes");
  if (place_.replay) {
    gatherWord(memory().words(layout_.checkOffset()), layout_.checksOffset(), "ncclAllGather of checks");
  }
}

void NcclCall::gatherSigns(const WordRange& slice) {
  const NcclLibrary& nccl = rank_.nccl().nccl();
  const NcclHandle handle = rank_.nccl().handle();
  const std::size_t nwords = static_cast<std::size_t>(batch_.rules.votes_per_rank) * slice.size;
  checkNccl(nccl,
            nccl.ncclAllGather(memory().words(layout_.signsOffset(slice)), memory().words(layout_.votesOffset()),
                               nwords, NcclDataType::kUint64, handle, stream_),
            "ncclAllGather of signs", handle);
}

void NcclCall::scatterSigns(const WordRange& slice) {
  const NcclLibrary& nccl = rank_.nccl().nccl();
  const NcclHandle handle = rank_.nccl().handle();
  const std::size_t chunk = layout_.countedWords(slice);
  const auto planes = static_cast<std::size_t>(batch_.rules.votes_per_rank);
  const auto signs = [&](Rank counting, std::size_t plane) {
    return layout_.signsOffset(slice) + plane * slice.size + static_cast<std::size_t>(counting) * chunk;
  };
  const auto votes = [&](Rank voting, std::size_t plane) {
    return layout_.votesOffset() + (static_cast<std::size_t>(voting) * planes + plane) * chunk;
  };
  const Rank own = rank_.comm().rank();
  const int nranks = rank_.comm().nranks();
  for (std::size_t plane = 0; plane < planes; ++plane) {
    const StreamDevice& device = *rank_.device();
    const CudaDriver& driver = device.device()->driver();
    checkCuda(driver,
              driver.cuMemcpyAsync(memory().address(votes(own, plane)), memory().address(signs(own, plane)),
                                   chunk * sizeof(Word), stream_),
              "cuMemcpyAsync", "of ", chunk * sizeof(Word), " bytes of signs on ", *device.device());
    // Each rank begins with another peer.
    for (int distance = 1; distance < nranks; ++distance) {
      const Rank to = (own + distance) % nranks;
      const Rank from = (own + nranks - distance) % nranks;
      checkNccl(nccl,
                nccl.ncclSend(memory().words(signs(to, plane)), chunk, NcclDataType::kUint64, to, handle, stream_),
                "ncclSend of signs", handle);
      checkNccl(nccl,
                nccl.ncclRecv(memory().words(votes(from, plane)), chunk, NcclDataType::kUint64, from, handle, stream_),
                "ncclRecv of signs", handle);
    }
  }
}

/// In place: each rank has written its chunk where it belongs.
void NcclCall::gatherResults(const WordRange& slice) {
  const NcclLibrary& nccl = rank_.nccl().nccl();
  const NcclHandle handle = rank_.nccl().handle();
  const std::size_t chunk = layout_.countedWords(slice);
  for (int plane = 0; plane < layout_.gatheredPlanes(); ++plane) {
    Word* const all = memory().words(layout_.resultsOffset() + static_cast<std::size_t>(plane) * slice.size);
    const Word* const part = all + static_cast<std::size_t>(rank_.comm().rank()) * chunk;
    checkNccl(nccl, nccl.ncclAllGather(part, all, chunk, NcclDataType::kUint64, handle, stream_),
              "ncclAllGather of results", handle);
  }
}

/// One of each rank.
void NcclCall::gatherWord(const void* word, std::size_t offset, const char* what) {
  const NcclLibrary& nccl = rank_.nccl().nccl();
  const NcclHandle handle = rank_.nccl().handle();
  checkNccl(nccl, nccl.ncclAllGather(word, memory().words(offset), 1, NcclDataType::kUint64, handle, stream_), what,
            handle);
}

/// A rank alone has only its own, and nothing is gathered where there are no elements.
const std::uint32_t* NcclCall::vetoed() const {
  const bool is_gathered = layout_.schedule() != NcclSchedule::kAlone && layout_.nslices() > 0;
  if (ends_.veto == nullptr || !is_gathered) return ends_.veto;
  return reinterpret_cast<const std::uint32_t*>(memory().words(layout_.vetoedOffset()));
}

void NcclCall::enqueueKernels() {
  const WordRange slice = layout_.slice(slice_);
  if (!is_counted_) count(slice);
  if (is_counted_ || layout_.schedule() != NcclSchedule::kTwoPhases) decode(slice);
}

void NcclCall::count(const WordRange& slice) {
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
                {memory().words(layout_.resultsOffset() + begin), slice.size, externalResultPlanes(batch_.rules)},
                has_counts ? memory().words(layout_.countsOffset()) : nullptr,
                replayNumber()},
               stream_);
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

void NcclCall::decode(const WordRange& slice) {
  if (slice_ == 0 && layout_.schedule() != NcclSchedule::kAlone) lookAtOthers();
  const int nplanes = externalResultPlanes(batch_.rules);
  const bool is_restored = layout_.schedule() == NcclSchedule::kTwoPhases && nplanes > layout_.gatheredPlanes();
  if (is_restored) {
    enqueueRestoreTop(*rank_.device(),
                      {memory().words(layout_.signsOffset(slice)), slice.size, batch_.rules.votes_per_rank},
                      {memory().words(layout_.resultsOffset()), slice.size, nplanes}, slice.size, stream_);
  }
  ends_.kernels.decode(batch_, slice, memory().address(layout_.resultsOffset()), {rank_.power()->status(), vetoed()},
                       stream_);
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
