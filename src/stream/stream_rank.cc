// SPDX-License-Identifier: Apache-2.0
#include "stream/stream_rank.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "device/driver_error.h"
#include "schedule/slices.h"
#include "stream/sum_ends.h"

namespace signccl {
namespace {

/// Exchanges with fewer bytes of signs have their words read and written in host memory by the kernels: a copy takes
/// longer to begin than that.
constexpr std::size_t kLeastCopiedBytes = std::size_t{64} << 10;
/// Planes of slices begin at lines of the device's cache.
constexpr std::size_t kLineWords = 16;

std::size_t wholeLines(std::size_t nwords) { return (nwords + kLineWords - 1) / kLineWords * kLineWords; }

/// Where the slices of a call are; none if it has no elements.
std::vector<SlotSlice> placeSlices(const Batch& batch, std::size_t slice_words) {
  if (batch.nwords == 0) return {};
  std::vector<SlotSlice> slices(sliceCount(batch.nwords, slice_words, batch.rules));
  std::size_t offset = 0;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    slices[i] = {chunkRange(batch.nwords, static_cast<int>(slices.size()), static_cast<int>(i)), offset};
    offset += wholeLines(externalWords(batch.rules, slices[i].words.size));
  }
  return slices;
}

SlotNeeds needsOf(const StreamCall& call) {
  const SlotSlice& last = call.slices.back();
  return {call.slices.size(), last.offset + externalWords(call.batch.rules, last.words.size), call.has_copy};
}

[[noreturn]] void refuseCapturedSum() {
  throw Error(signcclInvalidUsage,
              "signcclAllReduceSum() cannot be captured into a CUDA graph: its stream is being captured");
}

std::int64_t firstTensorOf(const StreamStep* step) { return step == nullptr ? kNoStep : step->first_tensor; }

}  // namespace

void failForCuda(Communicator& comm, const std::exception_ptr& error) noexcept {
  const Failure failure = failureOf(error);
  if (failure.code == signcclUnhandledCudaError || failure.code == signcclSystemError) comm.fail(failure);
}

StreamRank::StreamRank(Communicator& comm, ReplayService& replays, std::shared_ptr<StreamDevice> device)
    : comm_(comm), replays_(replays), device_(std::move(device)), kernels_(device_), last_captured_(device_->device()) {
  device_->freeUnused();
  const RelaxedCapture relaxed(device_->device()->driver());
  const ContextScope scope(*device_->device());
  last_call_.emplace(*device_->device());
}

StreamRank::~StreamRank() {
  try {
    std::vector<std::shared_ptr<const void>> memory = kernels_.release();
    for (Place& place : places_) place.slots.giveAway(memory);
    if (search_) search_->giveAway(memory);
    device_->keepUntil({last_call_->event()}, std::move(memory));
    device_->freeUnused();
  } catch (const std::exception& error) {
    log(LogLevel::kWarn, Subsystem::kDestroy, comm_.rank(), "what the rank had on ", *device_->device(),
        " may not be freed: ", error.what());
  }
}

StreamCall StreamRank::enqueueFront(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                                    const StreamStep* step) {
  return guardedFront(rules, segments, stream, step, nullptr);
}

StreamCall StreamRank::enqueueSum(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                                  const StreamSum& sum) {
  return guardedFront(rules, segments, stream, nullptr, &sum);
}

StreamCall StreamRank::guardedFront(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                                    const StreamStep* step, const StreamSum* sum) {
  StreamCall call;
  try {
    call = front(rules, segments, stream, step, sum);
  } catch (...) {
    failForCuda(comm_, std::current_exception());
    throw;
  }
  if (!call.capture) comm_.arrive(call.exchange);
  if (call.place) places_[*call.place].is_open = true;
  return call;
}

StreamCall StreamRank::front(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                             const StreamStep* step, const StreamSum* sum) {
  const RelaxedCapture relaxed(device_->device()->driver());
  const ContextScope scope(*device_->device());
  StreamCall call = prepare(rules, segments, stream);
  if (sum != nullptr && call.capture) refuseCapturedSum();
  if (sum != nullptr && sum->is_awaited && !search_) search_.emplace(device_);
  try {
    if (call.capture) {
      beginCaptured(call, rules, step);
    } else {
      beginExchange(call, rules, step, sum);
    }
    // Of all slices: the first message of this rank says what all of its values are.
    if (sum != nullptr && !call.slices.empty()) {
      kernels_.check(call.batch, call.memory->metAddress(), call.number, call.stream);
    }
    for (std::size_t slice = 0; slice < call.slices.size(); ++slice) encodeSlice(call, slice);
  } catch (...) {
    endFailed(call);
    throw;
  }
  return call;
}

void StreamRank::enqueueBack(StreamCall& call) {
  if (call.place) places_[*call.place].is_open = false;
  try {
    back(call);
  } catch (...) {
    failForCuda(comm_, std::current_exception());
    endFailed(call);
    throw;
  }
}

void StreamRank::back(const StreamCall& call) {
  // Nothing of a captured call is carried out now, and its replays do not come by here.
  if (!call.capture) comm_.awaitRanksOfProcess(call.exchange);
  const RelaxedCapture relaxed(device_->device()->driver());
  const ContextScope scope(*device_->device());
  if (!call.capture && !call.slices.empty()) {
    last_call_->letWait(*device_->device(), call.stream);  // for what was enqueued since the front
    if (!call.is_of_step) kernels_.prepare(call.batch, call.stream);
  }
  for (std::size_t slice = 0; slice < call.slices.size(); ++slice) decodeSlice(call, slice);
  endCall(call);
}

std::optional<ElementSample> StreamRank::findMisfit(const SummedElements& summed, CudaStream stream) {
  const RelaxedCapture relaxed(device_->device()->driver());
  const ContextScope scope(*device_->device());
  try {
    return search_->find(summed, stream, comm_.deadline());
  } catch (...) {
    failForCuda(comm_, std::current_exception());
    throw;
  }
}

void StreamRank::checkStream(CudaStream stream) const {
  const RelaxedCapture relaxed(device_->device()->driver());
  const ContextScope scope(*device_->device());
  const CudaDriver& driver = device_->device()->driver();
  const CudaResult state = driver.cuStreamQuery(stream);
  if (state != CudaResult::kNotReady) checkCuda(driver, state, "cuStreamQuery", "on ", *device_->device());
}

/// What a call has enqueued before it failed uses its memory, too.
void StreamRank::endFailed(const StreamCall& call) noexcept {
  if (call.capture || call.slices.empty()) return;  // memory of captured calls belongs to the graph
  try {
    const RelaxedCapture relaxed(device_->device()->driver());
    const ContextScope scope(*device_->device());
    last_call_->record(*device_->device(), call.stream);
  } catch (const std::exception& error) {
    log(LogLevel::kInfo, Subsystem::kColl, comm_.rank(), "after a failure: ", error.what());
  }
}

StreamCall StreamRank::prepare(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream) {
  StreamCall call;
  call.stream = stream;
  call.kernels = &kernels_;
  call.capture = captureOf(*device_->device(), stream);
  call.batch.rules = comm_.countRules(rules);
  call.batch.is_sum = rules.op == SignOp::kSum;
  call.batch.discards_misfits = rules.discards_misfits;
  for (const Segment& segment : segments) call.batch.add(segment);
  call.slices = placeSlices(call.batch, comm_.options().slice_bytes / sizeof(Word));
  const std::size_t sign_bytes =
      static_cast<std::size_t>(call.batch.rules.votes_per_rank) * call.batch.nwords * sizeof(Word);
  call.has_copy = sign_bytes >= kLeastCopiedBytes && !device_->device()->facts().shares_host_memory;
  return call;
}

void StreamRank::beginExchange(StreamCall& call, const ExchangeRules& rules, const StreamStep* step,
                               const StreamSum* sum) {
  if (!call.slices.empty()) {
    takeSlots(call);
    last_call_->letWait(*device_->device(), call.stream);
  }
  if (step != nullptr) {
    call.is_of_step = true;
    call.kernels = &step->kernels;
    call.kernels->prepare(call.batch, call.stream);
  }
  const bool is_awaited = sum != nullptr && sum->is_awaited;
  Operation& operation = comm_.submit({.rules = rules,
                                       .segments = call.batch.segments,
                                       .in_background = !is_awaited,
                                       .holders = is_awaited ? 1 : 0,
                                       .first_tensor = firstTensorOf(step),
                                       .ends = endsOf(call, step, sum)});
  call.exchange = operation.batch.exchange;
  if (is_awaited) call.awaited = &operation;
}

std::shared_ptr<ExternalEnds> StreamRank::endsOf(const StreamCall& call, const StreamStep* step,
                                                 const StreamSum* sum) const {
  if (sum != nullptr) {
    const std::size_t nsegments = call.slices.empty() ? 0 : call.batch.segments.size();  // else there is no memory
    return std::make_shared<SumEnds>(call.memory, call.slices, call.number,
                                     SumOfSlots{comm_.rank(), nsegments, call.batch.rules.votes_per_rank, sum->trusted,
                                                call.batch.discards_misfits});
  }
  std::shared_ptr<const std::atomic<std::uint32_t>> veto;
  if (step != nullptr) veto = {step->owner, step->veto};
  return std::make_shared<SlotEnds>(call.memory, call.slices, call.number, std::move(veto));
}

/// The first slots that no open call uses.
void StreamRank::takeSlots(StreamCall& call) {
  const auto found = std::ranges::find_if_not(places_, &Place::is_open);
  call.place = static_cast<std::size_t>(found - places_.begin());
  if (found == places_.end()) places_.emplace_back();
  CallSlots& slots = places_[*call.place].slots;
  call.memory = slots.reserve(device_->device(), needsOf(call));
  call.number = slots.number();
}

std::size_t StreamRank::scratchBytes() const {
  std::size_t bytes = 0;
  for (const Place& place : places_) bytes += place.slots.bytes();
  return bytes;
}

/// Gives the graph memory and tables of its own: those of other calls may be replaced while it lives. A call without
/// elements leaves nothing to replay.
void StreamRank::beginCaptured(StreamCall& call, const ExchangeRules& rules, const StreamStep* step) {
  comm_.requireUsable();
  device_->freeUnused();
  if (call.slices.empty()) return;
  const SlotNeeds needs = needsOf(call);
  const Device& device = *device_->device();
  call.number = kSlotSet;
  call.memory = std::make_shared<SlotMemory>(device_->device(), needs.nslots, needs.nwords, needs.has_copy);
  std::shared_ptr<const void> tables;
  if (step == nullptr) {
    auto kernels = std::make_shared<SliceKernels>(device_);
    call.kernels = kernels.get();
    tables = std::move(kernels);
  } else {
    call.is_of_step = true;
    call.kernels = &step->kernels;
    // Each call holds what its step refers to by an object of its own, whose holders can be counted.
    tables = std::make_shared<const std::shared_ptr<const void>>(step->owner);
  }
  const auto captured =
      std::make_shared<CapturedCall>(call.memory, std::move(tables),
                                     CapturedExchange{call.capture->id, rules, call.batch.segments, call.slices,
                                                      firstTensorOf(step), step == nullptr ? nullptr : step->veto});
  device_->keepWhileHeld({captured->memory(), captured->tables()});
  giveToGraph(device, call.capture->graph, captured);
  replays_.add(captured);
  // The calls of a graph are exchanged one after the other. Branches had better wait for that where CUDA sees it.
  last_captured_.letWait(*call.capture, call.stream);
  call.kernels->prepare(call.batch, call.stream);
}

/// A call waits for all before it, whatever slots they have, so that the last one stands for all.
void StreamRank::endCall(const StreamCall& call) {
  if (call.slices.empty()) return;
  if (!call.capture) return last_call_->record(*device_->device(), call.stream);
  last_captured_.record(*call.capture, call.stream);
}

void StreamRank::encodeSlice(const StreamCall& call, std::size_t number) {
  const SlotSlice& slice = call.slices[number];
  const SlotMemory& memory = *call.memory;
  const CudaDevicePointer planes =
      call.has_copy ? memory.copyAddress(slice.offset) : memory.hostWordsAddress(slice.offset);
  call.kernels->encode(call.batch, slice.words, planes, call.stream);
  if (call.has_copy) {
    const CudaDriver& driver = device_->device()->driver();
    const std::size_t bytes =
        static_cast<std::size_t>(call.batch.rules.votes_per_rank) * slice.words.size * sizeof(Word);
    checkCuda(driver, driver.cuMemcpyDtoHAsync(memory.hostWords(slice.offset), planes, bytes, call.stream),
              "cuMemcpyDtoHAsync", "of ", bytes, " bytes of signs on ", *device_->device());
  }
  device_->enqueueWrite(call.stream, memory.postedAddress(number), call.number);
}

void StreamRank::decodeSlice(const StreamCall& call, std::size_t number) {
  const SlotSlice& slice = call.slices[number];
  const SlotMemory& memory = *call.memory;
  const CountRules& rules = call.batch.rules;
  const std::size_t stride = slice.words.size;
  const std::size_t offset = slice.offset + static_cast<std::size_t>(rules.votes_per_rank) * stride;
  if (call.capture) {
    device_->enqueueWaitAndWrite(call.stream, memory.answeredAddress(number), kSlotSet, kSlotClear);
  } else {
    device_->enqueueWait(call.stream, memory.answeredAddress(number), call.number);
  }
  CudaDevicePointer results = memory.hostWordsAddress(offset);
  if (call.has_copy) {
    results = memory.copyAddress(offset);
    const std::size_t bytes = static_cast<std::size_t>(externalResultPlanes(rules)) * stride * sizeof(Word);
    const CudaDriver& driver = device_->device()->driver();
    checkCuda(driver, driver.cuMemcpyHtoDAsync(results, memory.hostWords(offset), bytes, call.stream),
              "cuMemcpyHtoDAsync", "of ", bytes, " bytes of results on ", *device_->device());
  }
  const std::uint32_t* const status = call.batch.is_sum ? memory.sumStatusAddress() : memory.statusAddress(number);
  call.kernels->decode(call.batch, slice.words, results, {status}, call.stream);
}

}  // namespace signccl
