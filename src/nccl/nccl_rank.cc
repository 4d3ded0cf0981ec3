// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_rank.h"

#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "device/capture.h"
#include "nccl/nccl_call.h"
#include "nccl/nccl_error.h"
#include "stream/stream_rank.h"

namespace signccl {
namespace {

/// How often a rank looks whether NCCL has begun what it was given.
constexpr std::chrono::microseconds kSettleStep{20};
/// How long the end of a rank waits for the end of its communicator.
constexpr std::chrono::milliseconds kLongestClose{1000};

/// Perhaps while a stream is being captured.
std::shared_ptr<NcclSwitch> makeSwitch(const std::shared_ptr<Device>& device) {
  const RelaxedCapture relaxed(device->driver());
  return std::make_shared<NcclSwitch>(device);
}

}  // namespace

NcclRank::NcclRank(Communicator& comm, std::shared_ptr<StreamDevice> device)
    : comm_(comm),
      device_(std::move(device)),
      kernels_(device_),
      memories_(device_),
      switch_(makeSwitch(device_->device())),
      last_captured_(device_->device()),
      replays_(comm.rank(), comm.options().timeout),
      is_ready_(comm.nranks() == 1) {
  device_->freeUnused();
}

/// Replays that come later write nothing, and must not wait for ranks: NCCL's kernels end at once after an abort. NCCL
/// itself goes when the graphs have gone.
NcclRank::~NcclRank() {
  const bool are_graphs_gone = replays_.areGone();
  if (comm_.failed() || !are_graphs_gone) switch_->turnOff();
  if (switch_->communicator() != nullptr) {
    switch_->communicator()->close(are_graphs_gone ? kLongestClose : std::chrono::milliseconds(0));
  }
  if (!are_graphs_gone) {
    log(LogLevel::kInfo, Subsystem::kDestroy, comm_.rank(),
        "CUDA graphs with calls of the communicator are left: their replays write nothing from now on");
  }
  // The thread that drives, which must make no CUDA call, may be the last to hold the switch.
  std::vector<std::shared_ptr<const void>> kept = kernels_.release();
  kept.push_back(switch_);
  memories_.keepAlso(std::move(kept));
}

std::unique_ptr<EngineCall> NcclRank::enqueueFront(const ExchangeRules& rules, std::span<const Segment> segments,
                                                   CudaStream stream, const StreamStep* step) {
  try {
    return front(rules, segments, stream, step);
  } catch (...) {
    failForCuda(comm_, std::current_exception());
    throw;
  }
}

/// NCCL makes its communicator by calls that captures forbid, in threads of its own.
void NcclRank::checkCapture(CudaStream stream, const char* what) const {
  if (is_ready_ || !captureOf(*device_->device(), stream)) return;
  throw Error(signcclInvalidUsage,
              std::string("the stream is being captured into a CUDA graph, and NCCL has not connected ") +
                  rankName(comm_.rank()) + " with the others yet, as the first of the " + what +
                  " on device memory does: make one outside of the capture before it, on all ranks");
}

NcclLayout NcclRank::layoutOf(const Batch& batch) const {
  return {
      batch.rules, batch.nwords, {.algorithm = comm_.options().algorithm, .slice_bytes = comm_.options().slice_bytes}};
}

std::unique_ptr<NcclCall> NcclRank::front(const ExchangeRules& rules, std::span<const Segment> segments,
                                          CudaStream stream, const StreamStep* step) {
  const RelaxedCapture relaxed(device_->device()->driver());
  const ContextScope scope(*device_->device());
  checkCapture(stream, step == nullptr ? "calls" : "Lion steps");
  const std::optional<StreamCapture> capture = captureOf(*device_->device(), stream);
  Batch batch;
  batch.rules = comm_.countRules(rules);
  batch.tie = rules.tie;
  for (const Segment& segment : segments) batch.add(segment);
  if (capture) return capturedCall(std::move(batch), rules, stream, step, *capture);
  return eagerCall(std::move(batch), rules, stream, step);
}

std::unique_ptr<NcclCall> NcclRank::eagerCall(Batch batch, const ExchangeRules& rules, CudaStream stream,
                                              const StreamStep* step) {
  const NcclLayout layout = layoutOf(batch);
  memories_.follow(stream);
  EndKernels& kernels = step == nullptr ? kernels_ : step->kernels;
  kernels.prepare(batch, stream);
  NcclIntroduction introduced;
  if (!is_ready_ && !is_introduced_) introduced = introduction();
  NcclRoom& room = memories_.take(layout.nwords());
  NcclPlace place{.room = &room};
  if (layout.overlaps()) place.lane = &memories_.laneOf(room, layout.nslices(), layout.nresults());
  auto watch = std::make_shared<NcclWatch>(room.memory, room.number, layout.messages(), switch_);
  const std::vector<Segment> segments = batch.segments;
  const NcclEnds ends{kernels, step == nullptr ? nullptr : step->device_veto};
  auto call = std::make_unique<NcclCall>(*this, std::move(batch), layout, ends, place, stream);
  comm_.submit({.rules = rules,
                .segments = segments,
                .in_background = true,
                .holders = 0,
                .first_tensor = step == nullptr ? kNoStep : step->first_tensor,
                .outside = std::move(watch)});
  try {
    if (!is_ready_ && !is_introduced_) {
      comm_.postAllGather(encode(introduced));
      is_introduced_ = true;
    }
    call->enqueueSigns();
  } catch (...) {
    failWith(std::current_exception());
  }
  return call;
}

/// Gives the graph memory and tables of its own: those of other calls may be replaced while it lives.
std::unique_ptr<NcclCall> NcclRank::capturedCall(Batch batch, const ExchangeRules& rules, CudaStream stream,
                                                 const StreamStep* step, const StreamCapture& capture) {
  comm_.requireUsable();
  device_->freeUnused();
  const NcclLayout layout = layoutOf(batch);
  EndKernels* kernels = nullptr;
  std::shared_ptr<const void> tables;
  if (step == nullptr) {
    auto own = std::make_shared<SliceKernels>(device_);
    kernels = own.get();
    tables = std::move(own);
  } else {
    kernels = &step->kernels;
    // Each call holds what its step refers to by an object of its own, whose holders can be counted.
    tables = std::make_shared<const std::shared_ptr<const void>>(step->owner);
  }
  const std::vector<Segment> segments = batch.segments;
  // The digest of what the ranks compare; submitted now, so that a call whose front fails is known to the others.
  const std::uint64_t digest = comm_
                                   .submit({.rules = rules,
                                            .segments = segments,
                                            .in_background = true,
                                            .holders = 0,
                                            .first_tensor = step == nullptr ? kNoStep : step->first_tensor,
                                            .is_capture = true})
                                   .batch.digest;
  try {
    const auto replay = replayOf(layout, step == nullptr ? segments.size() : 1, digest, std::move(tables));
    giveToGraph(*device_->device(), capture.graph, replay);
    replays_.add(replay);
    watchReplays();
    last_captured_.letWait(capture, stream);
    kernels->prepare(batch, stream);
    const NcclEnds ends{*kernels, step == nullptr ? nullptr : step->device_veto};
    auto call =
        std::make_unique<NcclCall>(*this, std::move(batch), layout, ends,
                                   NcclPlace{.replay = replay, .capture = capture, .lane = replay->lane()}, stream);
    call->enqueueSigns();
    return call;
  } catch (...) {
    failWith(std::current_exception());
  }
}

void NcclRank::followOnLane(const NcclPlace& place) {
  if (place.capture) {
    last_captured_.letWait(*place.capture, place.lane->stream());
  } else {
    memories_.follow(place.lane->stream());
  }
}

CommCounters NcclRank::counters() {
  CommCounters counters = replays_.counters();
  counters.engine.scratch_bytes += memories_.bytes();
  return counters;
}

std::shared_ptr<NcclReplay> NcclRank::replayOf(const NcclLayout& layout, std::size_t ncollectives, std::uint64_t call,
                                               std::shared_ptr<const void> tables) {
  auto memory = std::make_shared<const NcclMemory>(device_->device(), layout.nwords());
  std::shared_ptr<NcclLane> lane;
  if (layout.overlaps()) {
    lane = std::make_shared<NcclLane>(device_->device());
    lane->reserve(layout.nslices(), layout.nresults());
  }
  device_->keepWhileHeld({memory, tables, lane});
  CommCounters of_each;
  of_each.exchanges = 1;
  of_each.collectives = ncollectives;
  of_each.engine.messages = layout.messages();
  return std::make_shared<NcclReplay>(NcclReplay::Held{std::move(memory), std::move(tables), std::move(lane), switch_},
                                      call, of_each);
}

/// A rank alone waits for nobody.
void NcclRank::watchReplays() {
  if (switch_->communicator() != nullptr) switch_->communicator()->watch([this] { return lookAtReplays(); });
}

/// In the thread of NCCL's communicator, which this rank closes before it goes.
NcclCommunicator::Look NcclRank::lookAtReplays() {
  if (switch_->haveReplaysDiffered()) {
    comm_.fail({signcclInvalidUsage,
                rankName(comm_.rank()) +
                    " and others replay different CUDA graphs over NCCL: every rank must capture the same calls, and "
                    "replay the same graphs as often and in the same order",
                Failure::Scope::kGroup});
  }
  if (const auto failure = replays_.look(NcclReplays::Clock::now())) comm_.fail(*failure);
  if (comm_.failed()) {
    switch_->keepFromWriting();
    return NcclCommunicator::Look::kAbort;
  }
  return replays_.areGone() ? NcclCommunicator::Look::kIdle : NcclCommunicator::Look::kGoOn;
}

/// What stands in the way is told to the other ranks, so that all fail with it.
NcclIntroduction NcclRank::introduction() {
  NcclIntroduction introduction;
  try {
    connect(introduction);
  } catch (...) {
    const Failure failure = failureOf(std::current_exception());
    introduction.code = failure.code;
    introduction.error = failure.message;
  }
  return introduction;
}

void NcclRank::connect(NcclIntroduction& introduction) {
  const NcclLibrary& nccl = loadNccl(comm_.options().nccl_library);
  introduction.version = nccl.version;
  introduction.device = device_->device()->facts().uuid;
  const char* const shared = std::getenv("NCCL_MULTI_RANK_GPU_ENABLE");  // NOLINT(concurrency-mt-unsafe)
  introduction.allows_shared_devices = shared != nullptr && shared == std::string_view("1");
  if (comm_.options().nccl_parent != nullptr) {
    checkParent(nccl);
  } else if (comm_.rank() == 0) {
    checkNccl(nccl, nccl.ncclGetUniqueId(&introduction.id), "ncclGetUniqueId", nullptr);
  }
  switch_->connect(NcclCommunicator::make(nccl, device_->device(), [&comm = comm_](const Failure& failure) {
    comm.fail({failure.code, rankName(comm.rank()) + ": " + failure.message, failure.scope});
  }));
}

/// What the caller gave must be this rank's place among the same ranks.
void NcclRank::checkParent(const NcclLibrary& nccl) const {
  const NcclHandle parent = comm_.options().nccl_parent;
  int nranks = 0;
  int rank = 0;
  int device = 0;
  checkNccl(nccl, nccl.ncclCommCount(parent, &nranks), "ncclCommCount of config.ncclComm", parent);
  checkNccl(nccl, nccl.ncclCommUserRank(parent, &rank), "ncclCommUserRank of config.ncclComm", parent);
  checkNccl(nccl, nccl.ncclCommCuDevice(parent, &device), "ncclCommCuDevice of config.ncclComm", parent);
  const auto expect = [](const char* what, int given, int expected) {
    if (given == expected) return;
    throw Error(signcclInvalidArgument, "config.ncclComm " + std::string(what) + " " + std::to_string(given) +
                                            ", and the communicator that was made with it " + std::to_string(expected));
  };
  expect("has a number of ranks of", nranks, comm_.nranks());
  expect("has the rank", rank, comm_.rank());
  expect("is on device", device, device_->device()->ordinal());
}

NcclUniqueId NcclRank::awaitId() {
  std::vector<NcclIntroduction> introductions;
  // The exchange has a deadline too, and its text says more: this one is for a stream that has not come to it.
  const Deadline last = comm_.deadline() + comm_.options().timeout;
  for (const std::string& part : comm_.awaitAllGather(last)) introductions.push_back(decodeNcclIntroduction(part));
  return agreedId(introductions);
}

void NcclRank::settle() {
  const Deadline end = comm_.deadline();
  while (!nccl().isSettled()) {
    if (comm_.failed()) throw FailureError(comm_.failure());
    if (std::chrono::steady_clock::now() >= end) {
      throw Error(signcclTimeout, rankName(comm_.rank()) + " waited " +
                                      std::to_string(comm_.options().timeout.count()) +
                                      " ms for NCCL to connect it with the other ranks");
    }
    std::this_thread::sleep_for(kSettleStep);
  }
  is_ready_ = true;
}

void NcclRank::failWith(const std::exception_ptr& error) {
  comm_.fail(failureOf(error));
  throw FailureError(comm_.failure());
}

}  // namespace signccl
