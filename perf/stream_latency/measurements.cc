// SPDX-License-Identifier: Apache-2.0
#include "stream_latency/measurements.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>

#include "cuda/kernel_image.h"
#include "device/driver_error.h"
#include "kernels/device/arguments.h"
#include "kernels/device/device_kernels.h"

namespace signccl::perf {
namespace {

using Clock = std::chrono::steady_clock;

/// Of the data that travel with an answer.
constexpr std::size_t kDataWords = 512;
/// So many rounds are enqueued before the first is answered: a driver takes about a thousand launches before it waits.
constexpr int kRoundsAtOnce = 100;
constexpr std::chrono::seconds kLongestWait{10};

double microseconds(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

/// What the stream and the host share, each part on lines of its own.
class Exchange {
 public:
  explicit Exchange(const LatencyDevice& gpu) : gpu_(gpu), memory_(gpu.shared(), kBytes) {
    std::fill_n(memory_.host(), kBytes, std::byte{0});
  }

  [[nodiscard]] CudaDevicePointer posted() const { return memory_.address(); }
  [[nodiscard]] CudaDevicePointer answered() const { return memory_.address() + kLine; }

  /// Enqueues round `number`.
  void enqueue(WaitKind kind, std::uint32_t number) const {
    if (kind == WaitKind::kMemoryOperations) {
      std::array operations{writeValue(posted(), number), waitUntilReached(answered(), number)};
      enqueueMemoryOperations(gpu_.device(), gpu_.stream(), operations);
    } else {
      launchOnWord(DeviceKernel::write_word, posted(), number);
      launchOnWord(DeviceKernel::wait_word, answered(), number);
    }
    DecodeVoteArguments arguments{};
    arguments.positive = reinterpret_cast<const Word*>(memory_.address() + kData);
    arguments.count = kDataWords * kWordBits;
    arguments.elements = reinterpret_cast<void*>(memory_.address() + kCopy);
    launch(DeviceKernel::decode_vote_bits, arguments);
  }

  /// Waits for the stream's word of round `number`, and answers with new data. Returns the words of the round before
  /// that the kernel had copied and that were old.
  std::size_t answer(std::uint32_t number) {
    const auto deadline = Clock::now() + kLongestWait;
    while (atomicWord(0).load(std::memory_order_acquire) < number) {
      if (Clock::now() > deadline) throw std::runtime_error("the stream has not come to its word within 10 s");
    }
    const auto nstale = static_cast<std::size_t>(
        std::count_if(copy(), copy() + kDataWords, [&](Word word) { return word != number - 1; }));
    std::fill_n(data(), kDataWords, Word{number});
    atomicWord(kLine).store(number, std::memory_order_release);
    return nstale;
  }

 private:
  static constexpr std::size_t kLine = 128;
  static constexpr std::size_t kData = 4096;
  static constexpr std::size_t kCopy = kData + kDataWords * sizeof(Word);
  static constexpr std::size_t kBytes = kCopy + kDataWords * sizeof(Word);

  [[nodiscard]] Word* data() const { return reinterpret_cast<Word*>(memory_.host() + kData); }
  [[nodiscard]] const Word* copy() const { return reinterpret_cast<const Word*>(memory_.host() + kCopy); }
  [[nodiscard]] std::atomic_ref<std::uint32_t> atomicWord(std::size_t offset) const {
    return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(memory_.host() + offset));
  }

  template <typename Arguments>
  void launch(DeviceKernel kernel, const Arguments& arguments) const {
    gpu_.kernels().launch({static_cast<std::size_t>(kernel), 1, &arguments, sizeof arguments, gpu_.stream()});
  }
  void launchOnWord(DeviceKernel kernel, CudaDevicePointer word, std::uint32_t value) const {
    launch(kernel, WordArguments{reinterpret_cast<std::uint32_t*>(word), value});
  }

  const LatencyDevice& gpu_;
  PinnedMemory memory_;
};

double secondsOfCopies(const LatencyDevice& gpu, CudaDevicePointer to, CudaDevicePointer from, std::size_t bytes) {
  constexpr int kCopies = 10;
  const CudaDriver& driver = gpu.device().driver();
  const auto copy = [&] {
    checkCuda(driver, driver.cuMemcpyAsync(to, from, bytes, gpu.stream()), "cuMemcpyAsync", "of ", bytes, " bytes");
  };
  copy();
  gpu.synchronize();
  const auto start = Clock::now();
  for (int i = 0; i < kCopies; ++i) copy();
  gpu.synchronize();
  return std::chrono::duration<double>(Clock::now() - start).count() / kCopies;
}

}  // namespace

LatencyDevice::LatencyDevice()
    : device_(Device::get(0)),
      scope_(*device_),
      kernels_(device_, kernelImage(), kDeviceKernelNames),
      stream_(device_),
      has_memory_operations_(supportsMemoryOperations(device_)) {}

void LatencyDevice::synchronize() const {
  const CudaDriver& driver = device_->driver();
  checkCuda(driver, driver.cuStreamSynchronize(stream()), "cuStreamSynchronize", "on ", *device_);
}

RoundTrips measureRoundTrips(const LatencyDevice& gpu, WaitKind kind, int rounds) {
  Exchange exchange(gpu);
  RoundTrips measured;
  Clock::duration enqueuing{};
  Clock::duration answering{};
  int ntrips = 0;
  for (int first = 1; first <= rounds; first += kRoundsAtOnce) {
    const int end = std::min(first + kRoundsAtOnce, rounds + 1);
    const auto begin = Clock::now();
    for (int number = first; number < end; ++number) exchange.enqueue(kind, static_cast<std::uint32_t>(number));
    enqueuing += Clock::now() - begin;
    measured.nstale += exchange.answer(static_cast<std::uint32_t>(first));
    const auto answered = Clock::now();
    for (int number = first + 1; number < end; ++number) {
      measured.nstale += exchange.answer(static_cast<std::uint32_t>(number));
    }
    answering += Clock::now() - answered;
    ntrips += end - first - 1;
    gpu.synchronize();
  }
  measured.enqueue_us = microseconds(enqueuing) / rounds;
  measured.round_trip_us = microseconds(answering) / std::max(ntrips, 1);
  return measured;
}

double measureLaunchUs(const LatencyDevice& gpu, int launches) {
  const PinnedMemory memory(gpu.shared(), sizeof(std::uint32_t));
  const WordArguments arguments{reinterpret_cast<std::uint32_t*>(memory.address()), 1};
  const auto launch = [&] {
    gpu.kernels().launch(
        {static_cast<std::size_t>(DeviceKernel::write_word), 1, &arguments, sizeof arguments, gpu.stream()});
  };
  launch();
  gpu.synchronize();
  const auto start = Clock::now();
  for (int i = 0; i < launches; ++i) launch();
  gpu.synchronize();
  return microseconds(Clock::now() - start) / launches;
}

CopyRates measureCopies(const LatencyDevice& gpu, std::size_t bytes) {
  const PinnedMemory host(gpu.shared(), bytes);
  const DeviceMemory device(gpu.shared(), bytes);
  const auto rate = [bytes](double seconds) { return static_cast<double>(bytes) / seconds / 1e9; };
  return {rate(secondsOfCopies(gpu, device.address(), host.address(), bytes)),
          rate(secondsOfCopies(gpu, host.address(), device.address(), bytes))};
}

}  // namespace signccl::perf
