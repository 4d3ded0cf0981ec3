// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_memory.h"

#include <new>

namespace signccl {

PinnedWord::PinnedWord(const std::shared_ptr<Device>& device)
    : memory_(device, sizeof(*value_)), value_(new (memory_.host()) std::atomic<std::uint32_t>(0)) {}

}  // namespace signccl
