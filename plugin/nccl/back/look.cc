// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/look.h"

#include <algorithm>
#include <cstddef>
#include <thread>
#include <vector>

#include "nccl/back/cuda.h"
#include "nccl/back/failure.h"
#include "nccl/back/introduce.h"

namespace signccl::nccl_preload {
namespace {

using std::chrono::steady_clock;

/// What is copied to the host at once.
constexpr std::size_t kSlabBytes = std::size_t{4} << 20;

/// False if there is still work on the stream at the end. Throws Failure.
bool isIdleBefore(steady_clock::time_point end, Stream stream) {
  auto pause = std::chrono::microseconds(5);
  while (!isIdle(stream)) {
    if (steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(pause);
    if (pause < std::chrono::milliseconds(2)) pause *= 2;
  }
  return true;
}

rules::LocalValues valuesOf(const AllReduce& call, rules::ElementType type) {
  const std::size_t element_bytes = rules::sizeOf(type);
  const std::size_t most = kSlabBytes / element_bytes;
  std::vector<std::byte> slab(std::min(call.count, most) * element_bytes);
  rules::LocalValues found;
  for (std::size_t begin = 0; begin < call.count && found.values != rules::Values::kOther; begin += most) {
    const std::size_t count = std::min(call.count - begin, most);
    const auto from = reinterpret_cast<DeviceAddress>(call.send) + begin * element_bytes;
    expectCudaSuccess(cuda().cuMemcpyDtoHAsync(slab.data(), from, count * element_bytes, call.stream),
                      "cuMemcpyDtoHAsync");
    isIdleBefore(steady_clock::time_point::max(), call.stream);
    const rules::LocalValues own = rules::checkValues(slab.data(), count, type);
    if (own.values <= found.values) continue;
    found = own;
    found.first_index += static_cast<std::int64_t>(begin);
  }
  return found;
}

}  // namespace

std::optional<rules::LocalValues> lookAt(const RealNccl& nccl, const AllReduce& call, rules::ElementType type,
                                         std::chrono::milliseconds longest) {
  try {
    const DeviceScope scope(deviceOf(nccl, call.comm));
    if (!isIdleBefore(steady_clock::now() + longest, call.stream)) return std::nullopt;
    return valuesOf(call, type);
  } catch (const Failure&) {
    return std::nullopt;
  }
}

}  // namespace signccl::nccl_preload
