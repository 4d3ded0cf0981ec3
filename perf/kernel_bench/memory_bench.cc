// SPDX-License-Identifier: Apache-2.0
// Bandwidth of this machine, and fp32 encode and decode as a part of it. A kernel and its peer take turns on short
// windows of a large buffer and the median counts, so that a busy machine disturbs both alike.
#include "kernel_bench/memory_bench.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernel_bench/bandwidth.h"
#include "kernel_bench/buffer.h"
#include "kernels/kernels.h"
#include "kernels/tuning.h"

namespace signccl {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{512} << 20;
/// Much more than a first-level cache, little more than a slice of a scheduler's time: about 0.3 ms.
constexpr std::size_t kWindowBytes = std::size_t{8} << 20;
constexpr std::size_t kWindowElements = kWindowBytes / sizeof(float);
constexpr std::size_t kNumWindows = kBufferBytes / kWindowBytes;
constexpr int kRounds = 4 * kNumWindows;
constexpr std::size_t kLongWindowBytes = 8 * kWindowBytes;
constexpr std::size_t kNumLongWindows = kBufferBytes / kLongWindowBytes;
constexpr int kLongRounds = 4 * kNumLongWindows;

/// Any window is evicted from the caches before it is used again.
BenchBuffer& largeBuffer() {
  static BenchBuffer buffer(kBufferBytes);
  return buffer;
}

std::byte* window(std::size_t round) { return largeBuffer().data() + round % kNumWindows * kWindowBytes; }

double secondsOf(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Something that works on one window of the large buffer.
using WindowWork = std::function<void(std::byte*)>;

benchmark::Counter rate(double per_second) {
  return {per_second, benchmark::Counter::kDefaults, benchmark::Counter::kIs1000};
}

void benchPeer(benchmark::State& state, const WindowWork& peer) {
  std::vector<double> seconds;
  for (auto _ : state) {
    seconds.push_back(secondsOf([&] { peer(window(seconds.size())); }));
    state.SetIterationTime(seconds.back());
  }
  state.counters["bytes/s"] = rate(static_cast<double>(kWindowBytes) / median(seconds));
}

/// What a kernel and its peers do in a round.
struct RoundSize {
  std::size_t elements;
  std::size_t bytes;  ///< read and written
};

/// The kernel and its peers in turns. ratio: the kernel's bandwidth as a part of the best peer's.
void benchAgainst(benchmark::State& state, RoundSize size, const std::vector<WindowWork>& peers,
                  const WindowWork& kernel) {
  std::vector<double> kernel_seconds;
  std::vector<std::vector<double>> peer_seconds(peers.size());
  std::size_t round = 0;
  for (auto _ : state) {
    for (std::size_t p = 0; p < peers.size(); ++p) {
      peer_seconds[p].push_back(secondsOf([&] { peers[p](window(round++)); }));
    }
    kernel_seconds.push_back(secondsOf([&] { kernel(window(round++)); }));
    state.SetIterationTime(kernel_seconds.back());
  }
  double best_peer = median(peer_seconds[0]);
  for (const auto& seconds : peer_seconds) best_peer = std::min(best_peer, median(seconds));
  const double own = median(kernel_seconds);
  state.counters["bytes/s"] = rate(static_cast<double>(size.bytes) / own);
  state.counters["elements/s"] = rate(static_cast<double>(size.elements) / own);
  state.counters["peer_bytes/s"] = rate(static_cast<double>(size.bytes) / best_peer);
  state.counters["ratio"] = best_peer / own;
}

const WindowWork kRead = [](std::byte* at) { benchmark::DoNotOptimize(readAll(at, kWindowBytes, 0)); };
const WindowWork kReadPrefetching = [](std::byte* at) {
  benchmark::DoNotOptimize(readAll(at, kWindowBytes, kEncodePrefetchBytes));
};
constexpr RoundSize kWindow{kWindowElements, kWindowBytes};
const WindowWork kStream = [](std::byte* at) { streamAll(at, kWindowBytes); };

void benchEncode(benchmark::State& state, const Kernels* kernels) {
  BenchBuffer signs(kWindowElements / 8);
  benchAgainst(state, kWindow, {kRead, kReadPrefetching}, [&](std::byte* at) {
    kernels->encodeBinary(ElementType::kFloat32, at, kWindowElements, signs.words());
  });
}

/// `skew` bytes beyond a line, as malloc gives large blocks (16 beyond a page).
void benchDecode(benchmark::State& state, const Kernels* kernels, std::size_t skew) {
  BenchBuffer signs(kWindowElements / 8);
  const std::size_t count = kWindowElements - skew / sizeof(float);
  benchAgainst(state, kWindow, {kStream}, [&](std::byte* at) {
    kernels->decodeVote(ElementType::kFloat32, signs.words(), nullptr, count, at + skew, Store::kStreaming);
  });
}

/// Makes of what bits there are numbers between 1/2 and 1 and their negatives, both as float32 and as bfloat16:
/// arithmetic with denormals is slow on many processors.
void makeOrdinary(BenchBuffer& buffer) {
  for (std::size_t i = 0; i < buffer.size() / sizeof(Word); ++i) {
    buffer.words()[i] = (buffer.words()[i] & 0x807F'807F'807F'807F) | 0x3F00'3F00'3F00'3F00;
  }
}

BenchBuffer ordinaryBuffer() {
  BenchBuffer buffer(kBufferBytes);
  makeOrdinary(buffer);
  return buffer;
}

/// Gradients for the momenta in the large buffer.
BenchBuffer& gradientBuffer() {
  static BenchBuffer buffer = ordinaryBuffer();
  return buffer;
}

/// The gradients for the momenta of a window of the large buffer.
std::byte* gradientsFor(const std::byte* window) { return gradientBuffer().data() + (window - largeBuffer().data()); }

/// Plain loops that read `from_bytes` elsewhere and read and write the window in place, with and without prefetching.
std::vector<WindowWork> updates(std::size_t from_bytes, std::size_t bytes) {
  const auto update = [=](std::size_t prefetch_bytes) {
    return [=](std::byte* at) {
      updateAll(from_bytes == 0 ? nullptr : gradientsFor(at), from_bytes, at, bytes, prefetch_bytes);
    };
  };
  return {update(0), update(kLionPrefetchBytes)};
}

/// Everything lies `skew` bytes beyond a line.
void benchLionEncode(benchmark::State& state, const Kernels* kernels, FloatType gradient_type, std::size_t skew) {
  BenchBuffer signs(kWindowElements / 8);
  makeOrdinary(largeBuffer());
  gradientBuffer();
  const std::size_t gradient_bytes = kWindowElements * floatBytes(gradient_type);
  const std::size_t count = kWindowElements - skew;
  benchAgainst(
      state, {count, gradient_bytes + 2 * kWindowBytes}, updates(gradient_bytes, kWindowBytes), [&](std::byte* at) {
        const LionMomenta lion{
            gradient_type, FloatType::kFloat32, gradientsFor(at) + skew, at + skew, {0.9F, 0.1F, 0.99F, 0.01F}};
        kernels->encodeLion(lion, count, nullptr, signs.words());
      });
}

enum class Direction : std::uint8_t { kVote, kVoteWithZeros, kMean };

struct LionDecode {
  FloatType type = FloatType::kFloat32;
  Direction direction = Direction::kVote;
  bool is_stochastic = false;
  std::size_t skew = 0;
};

void benchLionDecode(benchmark::State& state, const Kernels* kernels, LionDecode decode) {
  constexpr int kPlanes = 4;
  constexpr std::size_t kPlaneWords = kWindowElements / kWordBits + 8;
  BenchBuffer planes(kPlanes * kPlaneWords * sizeof(Word)), table(sizeof(float) << kPlanes);
  const std::size_t bytes = kWindowElements * floatBytes(decode.type);
  const std::size_t count = kWindowElements - decode.skew;
  makeOrdinary(largeBuffer());
  auto* const means = reinterpret_cast<float*>(table.data());
  for (int i = 0; i < 1 << kPlanes; ++i) means[i] = static_cast<float>(i) / 16 - 0.5F;
  benchAgainst(state, {count, 2 * bytes}, updates(0, bytes), [&](std::byte* at) {
    const LionParameters lion{decode.type, at + decode.skew, 1e-3F, 0.1F, {decode.is_stochastic, 1, 0}};
    switch (decode.direction) {
      case Direction::kVote:
        return kernels->decodeVoteLion(lion, planes.words(), nullptr, count);
      case Direction::kVoteWithZeros:
        return kernels->decodeVoteLion(lion, planes.words(), planes.words() + kPlaneWords, count);
      case Direction::kMean:
        return kernels->decodeAvgLion(lion, ConstPlanes{planes.words(), kPlaneWords, kPlanes}, means, count);
    }
  });
}

/// The calling thread and another one, which waits for work.
class TwoThreads {
 public:
  TwoThreads() : other_([this] { serve(); }) {}
  ~TwoThreads() {
    there_ = nullptr;
    start_.arrive_and_wait();
    other_.join();
  }
  TwoThreads(const TwoThreads&) = delete;
  TwoThreads& operator=(const TwoThreads&) = delete;

  /// Runs `here` in the calling thread and `there` in the other one, and returns when both are done.
  void run(const std::function<void()>& here, const std::function<void()>& there) {
    there_ = &there;
    start_.arrive_and_wait();
    here();
    end_.arrive_and_wait();
  }

 private:
  void serve() {
    while (true) {
      start_.arrive_and_wait();
      if (there_ == nullptr) return;
      (*there_)();
      end_.arrive_and_wait();
    }
  }

  const std::function<void()>* there_ = nullptr;
  std::barrier<> start_{2};
  std::barrier<> end_{2};
  std::thread other_;
};

/// Something that works on `size` bytes of a long window, from byte `first` on.
using PartWork = std::function<void(std::byte* window, std::size_t first, std::size_t size)>;

/// Seconds of each round, by one thread and by two.
struct OneAndTwo {
  std::vector<double> one;
  std::vector<double> two;
};

/// Does `work` on a long window with one thread and on the next one with two.
void timeOneAndTwo(TwoThreads& threads, const PartWork& work, std::size_t& round, OneAndTwo& seconds) {
  constexpr std::size_t kHalf = kLongWindowBytes / 2;
  const auto next_window = [&] { return largeBuffer().data() + round++ % kNumLongWindows * kLongWindowBytes; };
  std::byte* const alone = next_window();
  seconds.one.push_back(secondsOf([&] { work(alone, 0, kLongWindowBytes); }));
  std::byte* const shared = next_window();
  seconds.two.push_back(
      secondsOf([&] { threads.run([&] { work(shared, 0, kHalf); }, [&] { work(shared, kHalf, kHalf); }); }));
}

PartWork reading(std::size_t prefetch_bytes) {
  return [prefetch_bytes](std::byte* window, std::size_t first, std::size_t size) {
    benchmark::DoNotOptimize(readAll(window + first, size, prefetch_bytes));
  };
}

/// Encodes and reads with one thread and with two, in turns, on windows so long that waking the second thread costs
/// little. speedup, peer_speedup: how much faster two encode, and read. ratio: what two encode as a part of what two
/// can read, which is the limit of the memory.
void benchEncodeByTwo(benchmark::State& state, const Kernels* kernels) {
  BenchBuffer signs(kLongWindowBytes / sizeof(float) / 8);
  const PartWork encode = [&](std::byte* window, std::size_t first, std::size_t size) {
    const std::size_t first_word = first / sizeof(float) / kWordBits;
    kernels->encodeBinary(ElementType::kFloat32, window + first, size / sizeof(float), signs.words() + first_word);
  };
  TwoThreads threads;
  OneAndTwo encoding, plain, prefetching;
  std::size_t round = 0;
  for (auto _ : state) {
    timeOneAndTwo(threads, reading(0), round, plain);
    timeOneAndTwo(threads, reading(kEncodePrefetchBytes), round, prefetching);
    timeOneAndTwo(threads, encode, round, encoding);
    state.SetIterationTime(encoding.two.back());
  }
  const double two_read = std::min(median(plain.two), median(prefetching.two));
  state.counters["bytes/s"] = rate(static_cast<double>(kLongWindowBytes) / median(encoding.two));
  state.counters["speedup"] = median(encoding.one) / median(encoding.two);
  state.counters["peer_bytes/s"] = rate(static_cast<double>(kLongWindowBytes) / two_read);
  state.counters["peer_speedup"] = std::min(median(plain.one), median(prefetching.one)) / two_read;
  state.counters["ratio"] = two_read / median(encoding.two);
}

template <typename... Args>
void add(int rounds, const std::string& name, const Args&... args) {
  benchmark::RegisterBenchmark(name.c_str(), args...)
      ->UseManualTime()
      ->Iterations(rounds)
      ->Unit(benchmark::kMicrosecond);
}

void addLion(const Kernels* kernels) {
  const std::string of = std::string("_of_update/") + kernels->name;
  const std::string of_malloc = std::string("_of_update_malloc/") + kernels->name;
  add(kRounds, "memory/lion_encode_float32_float32" + of, benchLionEncode, kernels, FloatType::kFloat32, 0);
  add(kRounds, "memory/lion_encode_float32_float32" + of_malloc, benchLionEncode, kernels, FloatType::kFloat32, 16);
  add(kRounds, "memory/lion_encode_bfloat16_float32" + of, benchLionEncode, kernels, FloatType::kBFloat16, 0);
  const auto decode = [&](const std::string& name, LionDecode d) {
    add(kRounds, "memory/lion_decode_" + name, benchLionDecode, kernels, d);
  };
  decode("float32" + of, {});
  decode("float32" + of_malloc, {.skew = 16});
  decode("float32_zeros" + of, {.direction = Direction::kVoteWithZeros});
  decode("float32_avg" + of, {.direction = Direction::kMean});
  decode("bfloat16" + of, {.type = FloatType::kBFloat16});
  decode("bfloat16_stochastic" + of, {.type = FloatType::kBFloat16, .is_stochastic = true});
}

}  // namespace

void addMemoryBenchmarks(const std::vector<const Kernels*>& instances) {
  add(kRounds, "memory/read", benchPeer, kRead);
  add(kRounds, "memory/read_prefetching", benchPeer, kReadPrefetching);
  add(kRounds, "memory/streaming_store", benchPeer, kStream);
  add(kRounds, "memory/copy", benchPeer, [](std::byte* at) {
    copyAll(at, at + kWindowBytes / 2, kWindowBytes / 2);  // bytes/s counts what is read and what is written
  });
  for (const Kernels* kernels : instances) {
    const std::string name = kernels->name;
    add(kRounds, "memory/encode_float32_of_read/" + name, benchEncode, kernels);
    add(kRounds, "memory/decode_float32_of_streaming_store/" + name, benchDecode, kernels, 0);
    add(kRounds, "memory/decode_float32_of_streaming_store_malloc/" + name, benchDecode, kernels, 16);
    addLion(kernels);
  }
  add(kLongRounds, std::string("memory/encode_float32_of_read_by_two_threads/") + instances.front()->name,
      benchEncodeByTwo, instances.front());
}

}  // namespace signccl
