#include "stream/stream_rank.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "device/driver_error.h"
#include "schedule/slices.h"

namespace signccl {
namespace {

/// Exchanges with fewer bytes of signs have their words read and written in host memory by the kernels: a copy takes
/// longer to begin than that.
constexpr std::size_t kLeastCopiedBytes = std::size_t{64} << 10;
/// Planes of slices begin at lines of the device's cache.
constexpr std::size_t kLineWords = 16;
/// Numbers of calls in one memory. A slot that is used seldom must not fall behind by 2^31.
constexpr std::uint32_t kMostCalls = std::uint32_t{1} << 30;

std::size_t wholeLines(std::size_t nwords) { return (nwords + kLineWords - 1) / kLineWords * kLineWords; }

/// Where the slices of a call are.
std::vector<SlotSlice> placeSlices(const Batch& batch, std::size_t nslices) {
  std::vector<SlotSlice> slices(nslices);
  std::size_t offset = 0;
  for (std::size_t i = 0; i < nslices; ++i) {
    slices[i] = {chunkRange(batch.nwords, static_cast<int>(nslices), static_cast<int>(i)), offset};
    offset += wholeLines(externalWords(batch.rules, slices[i].words.size));
  }
  return slices;
}

std::size_t wordsOf(const Batch& batch, const SlotSlice& last) {
  return last.offset + externalWords(batch.rules, last.words.size);
}

}  // namespace

void failForCuda(Communicator& comm, const std::exception_ptr& error) noexcept {
  const Failure failure = failureOf(error);
  if (failure.code == signcclUnhandledCudaError || failure.code == signcclSystemError) comm.fail(failure);
}

StreamRank::StreamRank(Communicator& comm, std::shared_ptr<StreamDevice> device)
    : comm_(comm), device_(std::move(device)), kernels_(device_) {
  device_->freeUnused();
  const ContextScope scope(*device_->device());
  freePlace();
}

StreamRank::~StreamRank() {
  try {
    std::vector<CudaEvent> events;
    std::vector<std::shared_ptr<const void>> used = kernels_.release();
    for (Memory& memory : memory_) {
      events.push_back(memory.last_call);
      used.push_back(std::move(memory.slots));
      std::ranges::move(memory.outgrown, std::back_inserter(used));
    }
    std::erase(used, nullptr);
    device_->keepUntil(std::move(events), std::move(used));
    device_->freeUnused();
  } catch (const std::exception& error) {
    log(LogLevel::kWarn, Subsystem::kDestroy, comm_.rank(), "what the rank had on ", *device_->device(),
        " may not be freed: ", error.what());
  }
}

StreamCall StreamRank::enqueueFront(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                                    const StreamStep* step) {
  StreamCall call;
  orFail([&] { call = front(rules, segments, stream, step); });
  comm_.arrive(call.exchange);
  return call;
}

StreamCall StreamRank::front(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                             const StreamStep* step) {
  const ContextScope scope(*device_->device());
  StreamCall call = prepare(rules, segments, stream, step);
  follow(call);
  call.kernels->prepare(call.batch, call.stream);
  call.exchange = comm_
                      .submit({.rules = rules,
                               .segments = segments,
                               .in_background = true,
                               .holders = 0,
                               .first_tensor = step == nullptr ? kNoStep : step->first_tensor,
                               .ends = call.ends})
                      .batch.exchange;
  for (std::size_t slice = 0; slice < call.ends->slices().size(); ++slice) encodeSlice(call, slice);
  Memory& memory = memory_[call.place];
  memory.last_stream = stream;
  memory.has_called = memory.is_open = true;
  return call;
}

void StreamRank::enqueueBack(StreamCall& call) {
  orFail([&] {
    comm_.awaitRanksOfProcess(call.exchange);
    const ContextScope scope(*device_->device());
    for (std::size_t slice = 0; slice < call.ends->slices().size(); ++slice) decodeSlice(call, slice);
    Memory& memory = memory_[call.place];
    record(memory);
    memory.is_open = false;
  });
}

/// After an error of CUDA, or without memory, the other ranks would wait for this one.
template <typename Enqueue>
void StreamRank::orFail(const Enqueue& enqueue) {
  try {
    enqueue();
  } catch (...) {
    failForCuda(comm_, std::current_exception());
    throw;
  }
}

StreamCall StreamRank::prepare(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                               const StreamStep* step) {
  refuseCapture(stream);
  StreamCall call;
  call.stream = stream;
  call.kernels = step == nullptr ? &kernels_ : &step->kernels;
  call.batch.rules = comm_.countRules(rules);
  for (const Segment& segment : segments) call.batch.add(segment);
  const std::size_t nslices =
      sliceCount(call.batch.nwords, comm_.options().slice_bytes / sizeof(Word), call.batch.rules);
  std::vector<SlotSlice> slices = placeSlices(call.batch, nslices);
  const std::size_t sign_bytes =
      static_cast<std::size_t>(call.batch.rules.votes_per_rank) * call.batch.nwords * sizeof(Word);
  call.has_copy = sign_bytes >= kLeastCopiedBytes && !device_->device()->facts().shares_host_memory;
  call.place = freePlace();
  reserve(call, nslices, wordsOf(call.batch, slices.back()));
  call.number = ++memory_[call.place].last_number;
  call.ends =
      std::make_shared<SlotEnds>(call.memory, std::move(slices), call.number, step == nullptr ? nullptr : step->veto);
  return call;
}

void StreamRank::refuseCapture(CudaStream stream) const {
  const CudaDriver& driver = device_->device()->driver();
  CudaCaptureStatus status = CudaCaptureStatus::kNone;
  checkCuda(driver, driver.cuStreamIsCapturing(stream, &status), "cuStreamIsCapturing", "on ", *device_->device());
  if (status == CudaCaptureStatus::kNone) return;
  throw Error(signcclInvalidUsage,
              "the stream is being captured into a CUDA graph, which these calls do not support: make them outside of "
              "the capture");
}

/// The first memory that no open call uses.
std::size_t StreamRank::freePlace() {
  const auto found = std::ranges::find_if_not(memory_, &Memory::is_open);
  if (found != memory_.end()) return static_cast<std::size_t>(found - memory_.begin());
  Memory memory;
  const CudaDriver& driver = device_->device()->driver();
  memory_.reserve(memory_.size() + 1);
  checkCuda(driver, driver.cuEventCreate(&memory.last_call, kCudaEventDisableTiming), "cuEventCreate", "on ",
            *device_->device());
  memory_.push_back(std::move(memory));
  return memory_.size() - 1;
}

void StreamRank::reserve(StreamCall& call, std::size_t nslots, std::size_t nwords) {
  Memory& memory = memory_[call.place];
  if (!memory.slots || !memory.slots->holds(nslots, nwords, call.has_copy) || memory.last_number == kMostCalls) {
    auto fresh = std::make_shared<SlotMemory>(device_->device(), nslots, nwords, call.has_copy);
    if (memory.slots) memory.outgrown.push_back(memory.slots);
    memory.slots = std::move(fresh);
    memory.last_number = 0;
  }
  call.memory = memory.slots;
}

/// Calls on different streams use the same slots, and what kernels read beside them, one after the other.
void StreamRank::follow(const StreamCall& call) {
  const CudaDriver& driver = device_->device()->driver();
  for (const Memory& memory : memory_) {
    if (!memory.has_called || memory.last_stream == call.stream) continue;
    if (memory.is_open) record(memory);
    checkCuda(driver, driver.cuStreamWaitEvent(call.stream, memory.last_call, 0), "cuStreamWaitEvent", "on ",
              *device_->device());
  }
}

void StreamRank::record(const Memory& memory) const {
  const CudaDriver& driver = device_->device()->driver();
  checkCuda(driver, driver.cuEventRecord(memory.last_call, memory.last_stream), "cuEventRecord", "on ",
            *device_->device());
}

void StreamRank::encodeSlice(const StreamCall& call, std::size_t number) {
  const SlotSlice& slice = call.ends->slices()[number];
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
  const SlotSlice& slice = call.ends->slices()[number];
  const SlotMemory& memory = *call.memory;
  const CountRules& rules = call.batch.rules;
  const std::size_t stride = slice.words.size;
  const std::size_t offset = slice.offset + static_cast<std::size_t>(rules.votes_per_rank) * stride;
  device_->enqueueWait(call.stream, memory.answeredAddress(number), call.number);
  CudaDevicePointer results = memory.hostWordsAddress(offset);
  if (call.has_copy) {
    results = memory.copyAddress(offset);
    const std::size_t bytes = static_cast<std::size_t>(externalResultPlanes(rules)) * stride * sizeof(Word);
    const CudaDriver& driver = device_->device()->driver();
    checkCuda(driver, driver.cuMemcpyHtoDAsync(results, memory.hostWords(offset), bytes, call.stream),
              "cuMemcpyHtoDAsync", "of ", bytes, " bytes of results on ", *device_->device());
  }
  call.kernels->decode(call.batch, slice.words, results, memory.statusAddress(number), call.stream);
}

}  // namespace signccl
