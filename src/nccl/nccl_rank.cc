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

}  // namespace

NcclRank::NcclRank(Communicator& comm, std::shared_ptr<StreamDevice> device)
    : comm_(comm),
      device_(std::move(device)),
      kernels_(device_),
      memories_(device_),
      switch_(std::make_shared<NcclSwitch>(device_->device())),
      is_ready_(comm.nranks() == 1) {
  device_->freeUnused();
}

NcclRank::~NcclRank() {
  if (comm_.failed()) switch_->turnOff();
  if (switch_->communicator() != nullptr) switch_->communicator()->close();
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

void NcclRank::checkCapture(CudaStream stream, const char* what) const {
  refuseCapture(*device_->device(), stream, (std::string(what) + " over NCCL").c_str());
}

std::unique_ptr<NcclCall> NcclRank::front(const ExchangeRules& rules, std::span<const Segment> segments,
                                          CudaStream stream, const StreamStep* step) {
  const ContextScope scope(*device_->device());
  checkCapture(stream, step == nullptr ? "calls" : "Lion steps");
  Batch batch;
  batch.rules = comm_.countRules(rules);
  batch.tie = rules.tie;
  for (const Segment& segment : segments) batch.add(segment);
  const NcclLayout layout(batch.rules, batch.nwords,
                          {.algorithm = comm_.options().algorithm, .slice_bytes = comm_.options().slice_bytes});
  memories_.follow(stream);
  EndKernels& kernels = step == nullptr ? kernels_ : step->kernels;
  kernels.prepare(batch, stream);
  NcclIntroduction introduced;
  if (!is_ready_ && !is_introduced_) introduced = introduction();
  NcclRoom& room = memories_.take(layout.nwords());
  const NcclEnds ends{kernels, step == nullptr ? nullptr : step->device_veto};
  auto call = std::make_unique<NcclCall>(*this, std::move(batch), layout, ends, room, stream);
  auto watch = std::make_shared<NcclWatch>(room.memory, room.number, layout.messages(), switch_);
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
  if (comm_.rank() == 0) checkNccl(nccl, nccl.ncclGetUniqueId(&introduction.id), "ncclGetUniqueId", nullptr);
  switch_->connect(NcclCommunicator::make(nccl, device_->device(), [&comm = comm_](const Failure& failure) {
    comm.fail({failure.code, rankName(comm.rank()) + ": " + failure.message, failure.scope});
  }));
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
