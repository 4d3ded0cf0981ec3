// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_memories.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/log.h"
#include "device/driver_error.h"

namespace signccl {
namespace {

CudaEvent makeEvent(const Device& device) {
  const ContextScope scope(device);
  CudaEvent event = nullptr;
  checkCuda(device.driver(), device.driver().cuEventCreate(&event, kCudaEventDisableTiming), "cuEventCreate", "on ",
            device);
  return event;
}

}  // namespace

NcclMemories::NcclMemories(std::shared_ptr<StreamDevice> device)
    : device_(std::move(device)), last_call_(makeEvent(*device_->device())) {}

NcclMemories::~NcclMemories() {
  for (const auto& room : rooms_) retire(*room);
  rooms_.clear();
  releaseIn(*device_->device(), [&](const CudaDriver& driver) { driver.cuEventDestroy(last_call_); });
  try {
    device_->freeUnused();
  } catch (const std::exception& error) {
    log(LogLevel::kWarn, Subsystem::kDestroy, kNoRank, "what a rank had on ", *device_->device(),
        " may not be freed: ", error.what());
  }
}

/// Its event becomes the device's, which frees the memory once the event has come.
void NcclMemories::retire(NcclRoom& room) noexcept {
  try {
    std::vector<std::shared_ptr<const void>> memory = std::exchange(kept_also_, {});
    memory.push_back(std::move(room.memory));
    if (room.lane) memory.push_back(std::move(room.lane));
    device_->keepUntil({room.last_use}, std::move(memory));
  } catch (const std::exception& error) {
    log(LogLevel::kWarn, Subsystem::kDestroy, kNoRank, "memory on ", *device_->device(),
        " is freed late: ", error.what());
  }
}

NcclRoom& NcclMemories::freeRoom(std::size_t nwords) {
  const auto fits = [&](const auto& room) { return !room->is_taken && room->memory->nwords() >= nwords; };
  const auto found = std::ranges::find_if(rooms_, fits);
  if (found != rooms_.end()) return **found;
  auto fresh = std::make_unique<NcclRoom>();
  fresh->memory = std::make_shared<NcclMemory>(device_->device(), nwords);
  fresh->last_use = makeEvent(*device_->device());
  // A larger one takes the place of one that was too small.
  const auto small = std::ranges::find_if(rooms_, [](const auto& room) { return !room->is_taken; });
  if (small == rooms_.end()) return *rooms_.emplace_back(std::move(fresh));
  retire(**small);
  *small = std::move(fresh);
  return **small;
}

void NcclMemories::follow(CudaStream stream) const {
  if (!has_called_ || stream == last_stream_) return;
  const CudaDriver& driver = device_->device()->driver();
  checkCuda(driver, driver.cuStreamWaitEvent(stream, last_call_, 0), "cuStreamWaitEvent", "on ", *device_->device());
}

NcclRoom& NcclMemories::take(std::size_t nwords) {
  NcclRoom& room = freeRoom(nwords);
  ++room.number;
  room.is_taken = true;
  return room;
}

NcclLane& NcclMemories::laneOf(NcclRoom& room, std::size_t nslices, std::size_t nresults) const {
  if (!room.lane) room.lane = std::make_shared<NcclLane>(device_->device());
  room.lane->reserve(nslices, nresults);
  return *room.lane;
}

std::size_t NcclMemories::bytes() const {
  std::size_t bytes = 0;
  for (const auto& room : rooms_) bytes += room->memory->nwords() * sizeof(Word);
  return bytes;
}

void NcclMemories::release(NcclRoom& room, CudaStream stream) {
  room.is_taken = false;
  const CudaDriver& driver = device_->device()->driver();
  for (const CudaEvent event : {room.last_use, last_call_}) {
    checkCuda(driver, driver.cuEventRecord(event, stream), "cuEventRecord", "on ", *device_->device());
  }
  last_stream_ = stream;
  has_called_ = true;
}

}  // namespace signccl
