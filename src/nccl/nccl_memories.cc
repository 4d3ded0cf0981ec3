#include "nccl/nccl_memories.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/log.h"
#include "device/driver_error.h"

namespace signccl {

NcclMemories::~NcclMemories() {
  for (const auto& room : rooms_) retire(*room);
  rooms_.clear();
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
  const CudaDriver& driver = device_->device()->driver();
  checkCuda(driver, driver.cuEventCreate(&fresh->last_use, kCudaEventDisableTiming), "cuEventCreate", "on ",
            *device_->device());
  // A larger one takes the place of one that was too small.
  const auto small = std::ranges::find_if(rooms_, [](const auto& room) { return !room->is_taken; });
  if (small == rooms_.end()) return *rooms_.emplace_back(std::move(fresh));
  retire(**small);
  *small = std::move(fresh);
  return **small;
}

NcclRoom& NcclMemories::take(std::size_t nwords, CudaStream stream) {
  NcclRoom& room = freeRoom(nwords);
  if (room.number > 0 && stream != room.last_stream) {
    const CudaDriver& driver = device_->device()->driver();
    checkCuda(driver, driver.cuStreamWaitEvent(stream, room.last_use, 0), "cuStreamWaitEvent", "on ",
              *device_->device());
  }
  ++room.number;
  room.is_taken = true;
  return room;
}

void NcclMemories::release(NcclRoom& room, CudaStream stream) {
  room.last_stream = stream;
  room.is_taken = false;
  const CudaDriver& driver = device_->device()->driver();
  checkCuda(driver, driver.cuEventRecord(room.last_use, stream), "cuEventRecord", "on ", *device_->device());
}

}  // namespace signccl
