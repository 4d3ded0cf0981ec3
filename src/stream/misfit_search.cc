// SPDX-License-Identifier: Apache-2.0
#include "stream/misfit_search.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <string>
#include <thread>
#include <utility>

#include "base/error.h"
#include "device/driver_error.h"
#include "kernels/lanes/tiles.h"

namespace signccl {
namespace {

/// Parts that are checked in one step.
constexpr std::size_t kParts = 32;
/// So many elements are copied to the host, 64 KiB of the largest type.
constexpr std::size_t kSampleElements = 8 * lanes::kTileElements;
constexpr std::chrono::microseconds kPause{20};

const void* elementOf(const SummedElements& summed, std::size_t number) {
  return static_cast<const std::byte*>(summed.begin) + elementBytes(summed.type, number);
}

}  // namespace

/// What kernels and streams write.
struct MisfitSearch::Words {
  struct Met {
    std::atomic<std::uint32_t> zeros = 0;
    std::atomic<std::uint32_t> others = 0;
  };
  Met met[kParts];
  alignas(128) std::atomic<std::uint32_t> done = 0;
};

MisfitSearch::MisfitSearch(std::shared_ptr<StreamDevice> device)
    : device_(std::move(device)),
      memory_(std::make_shared<PinnedMemory>(device_->device(),
                                             sizeof(Words) + elementBytes(ElementType::kFloat64, kSampleElements))) {
  new (memory_->host()) Words;
}

MisfitSearch::Words& MisfitSearch::words() const { return *reinterpret_cast<Words*>(memory_->host()); }

CudaDevicePointer MisfitSearch::addressOf(const void* host) const {
  return memory_->address() + static_cast<std::size_t>(static_cast<const std::byte*>(host) - memory_->host());
}

std::optional<ElementSample> MisfitSearch::find(const SummedElements& summed, CudaStream stream,
                                                std::chrono::steady_clock::time_point deadline) {
  std::optional<Range> range{{0, summed.count}};
  while (range && range->end - range->begin > kSampleElements) range = narrow(summed, *range, stream, deadline);
  if (!range || range->begin == range->end) return std::nullopt;
  const std::size_t count = range->end - range->begin;
  std::byte* const sample = memory_->host() + sizeof(Words);
  const CudaDriver& driver = device_->device()->driver();
  const std::size_t bytes = elementBytes(summed.type, count);
  const auto from = reinterpret_cast<CudaDevicePointer>(elementOf(summed, range->begin));
  // The elements may be in host memory.
  checkCuda(driver, driver.cuMemcpyAsync(addressOf(sample), from, bytes, stream), "cuMemcpyAsync", "of ", bytes,
            " bytes to host memory on ", *device_->device());
  ++number_;
  awaitStream(stream, deadline);
  return ElementSample{range->begin, count, sample};
}

/// The first of the parts of a range that does not fit.
std::optional<MisfitSearch::Range> MisfitSearch::narrow(const SummedElements& summed, Range range, CudaStream stream,
                                                        std::chrono::steady_clock::time_point deadline) {
  const std::size_t ntiles = lanes::tilesFor(range.end - range.begin);
  const std::size_t part = (ntiles + kParts - 1) / kParts * lanes::kTileElements;
  const auto part_of = [&](std::size_t number) {
    return Range{std::min(range.begin + number * part, range.end),
                 std::min(range.begin + (number + 1) * part, range.end)};
  };
  ++number_;
  for (std::size_t i = 0; i < kParts; ++i) {
    const Range here = part_of(i);
    if (here.begin == here.end) break;
    const CheckSignsArguments arguments{elementOf(summed, here.begin), here.end - here.begin,
                                        reinterpret_cast<std::uint32_t*>(addressOf(&words().met[i])), number_};
    device_->launch(checkSignsKernel(summed.type), arguments, lanes::tilesFor(arguments.count), stream);
  }
  awaitStream(stream, deadline);
  for (std::size_t i = 0; i < kParts; ++i) {
    const Words::Met& met = words().met[i];
    const bool has_others = met.others.load(std::memory_order_relaxed) == number_;
    const bool has_zeros = met.zeros.load(std::memory_order_relaxed) == number_;
    if (has_others || (has_zeros && summed.votes_per_rank == 1)) return part_of(i);
  }
  return std::nullopt;
}

/// Until the stream is through with what is enqueued.
void MisfitSearch::awaitStream(CudaStream stream, std::chrono::steady_clock::time_point deadline) {
  device_->enqueueWrite(stream, addressOf(&words().done), number_);
  const CudaDriver& driver = device_->device()->driver();
  while (words().done.load(std::memory_order_acquire) != number_) {
    const CudaResult state = driver.cuStreamQuery(stream);
    if (state != CudaResult::kNotReady) checkCuda(driver, state, "cuStreamQuery", "on ", *device_->device());
    if (std::chrono::steady_clock::now() >= deadline) {
      throw Error(signcclTimeout, "a sum on a stream of " + device_->device()->text() +
                                      ": the stream did not come to the search for the value that does not fit");
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace signccl
