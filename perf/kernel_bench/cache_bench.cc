// SPDX-License-Identifier: Apache-2.0
// Every kernel on buffers that stay in the cache. "elements/s" are elements of the output: for count, of the counters,
// so that 8 inputs at 100 G elements/s are 800 G votes/s. "bytes/s" are bytes read and written.
#include "kernel_bench/cache_bench.h"

#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernel_bench/buffer.h"
#include "kernels/kernels.h"
#include "kernels/random_ties.h"

namespace signccl {
namespace {

constexpr std::size_t kRowBytes = 4096;
constexpr std::size_t kRowWords = kRowBytes / sizeof(Word);
constexpr std::size_t kLineWords = 8;
constexpr double kMinSeconds = 0.03;

struct Type {
  ElementType type;
  const char* name;
};
constexpr Type kFloatTypesAndBytes[] = {{ElementType::kFloat32, "float32"},
                                        {ElementType::kFloat16, "float16"},
                                        {ElementType::kBFloat16, "bfloat16"},
                                        {ElementType::kFloat64, "float64"},
                                        {ElementType::kInt8, "int8"}};

void setRates(benchmark::State& state, std::size_t elements, std::size_t bytes) {
  using benchmark::Counter;
  const auto per_second = [](std::size_t amount) {
    return Counter(static_cast<double>(amount), Counter::kIsIterationInvariantRate, Counter::kIs1000);
  };
  state.counters["elements/s"] = per_second(elements);
  state.counters["bytes/s"] = per_second(bytes);
}

/// Rows of random bits, as planes or as inputs. Rows are a line longer than they need be, because rows at equal
/// addresses modulo 4096 compete for the same lines of a first-level cache.
struct Rows {
  Rows(int nrows, std::size_t nwords)
      : buffer(static_cast<std::size_t>(nrows) * (nwords + kLineWords) * sizeof(Word)),
        stride(nwords + kLineWords),
        nplanes(nrows) {}

  [[nodiscard]] Planes planes() { return {buffer.words(), stride, nplanes}; }
  [[nodiscard]] ConstPlanes view() { return {buffer.words(), stride, nplanes}; }
  [[nodiscard]] Word* row(int j) { return buffer.words() + static_cast<std::size_t>(j) * stride; }

  BenchBuffer buffer;
  std::size_t stride;
  int nplanes;
};

void benchCount(benchmark::State& state, const Kernels* kernels, int ninputs, std::size_t row_bytes) {
  const std::size_t nwords = row_bytes / sizeof(Word);
  Rows inputs(ninputs, nwords), counts(planesFor(static_cast<std::uint64_t>(ninputs)), nwords);
  std::vector<const Word*> pointers;
  for (int k = 0; k < ninputs; ++k) pointers.push_back(inputs.row(k));
  for (auto _ : state) {
    kernels->count(pointers.data(), ninputs, nwords, counts.planes());
    benchmark::ClobberMemory();
  }
  setRates(state, nwords * kWordBits, static_cast<std::size_t>(ninputs + counts.nplanes) * row_bytes);
  state.counters["votes/s"] = benchmark::Counter(static_cast<double>(nwords * kWordBits) * ninputs,
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

/// What a rank does with 8 arrivals: signs in, vote and tie planes out.
void benchCountAndDecide(benchmark::State& state, const Kernels* kernels) {
  constexpr int kInputs = 8;
  Rows inputs(kInputs, kRowWords), counts(4, kRowWords), votes(2, kRowWords);
  std::vector<const Word*> pointers;
  for (int k = 0; k < kInputs; ++k) pointers.push_back(inputs.row(k));
  for (auto _ : state) {
    kernels->count(pointers.data(), kInputs, kRowWords, counts.planes());
    kernels->decide(counts.view(), kInputs / 2 + 1, true, sameTies(0), kRowWords, votes.row(0), votes.row(1));
    benchmark::ClobberMemory();
  }
  setRates(state, kRowWords * kWordBits, (kInputs + 2) * kRowBytes);
}

void benchMerge(benchmark::State& state, const Kernels* kernels, int nplanes) {
  Rows a(nplanes, kRowWords), b(nplanes, kRowWords), sum(nplanes + 1, kRowWords);
  for (auto _ : state) {
    kernels->merge(a.view(), b.view(), kRowWords, sum.planes());
    benchmark::ClobberMemory();
  }
  setRates(state, kRowWords * kWordBits, static_cast<std::size_t>(3 * nplanes + 1) * kRowBytes);
}

void benchClamp(benchmark::State& state, const Kernels* kernels, int nplanes) {
  const std::uint64_t low = (std::uint64_t{1} << nplanes) / 4;
  const std::uint64_t high = 3 * low;
  Rows in(nplanes, kRowWords), out(planesFor(high - low), kRowWords);
  for (auto _ : state) {
    kernels->clamp(in.view(), low, high, kRowWords, out.planes());
    benchmark::ClobberMemory();
  }
  setRates(state, kRowWords * kWordBits, static_cast<std::size_t>(nplanes + out.nplanes) * kRowBytes);
}

void benchDecide(benchmark::State& state, const Kernels* kernels, int nplanes) {
  Rows counts(nplanes, kRowWords), votes(2, kRowWords);
  const std::uint64_t threshold = (std::uint64_t{1} << nplanes) / 2 + 1;
  for (auto _ : state) {
    kernels->decide(counts.view(), threshold, true, sameTies(0), kRowWords, votes.row(0), votes.row(1));
    benchmark::ClobberMemory();
  }
  setRates(state, kRowWords * kWordBits, static_cast<std::size_t>(nplanes + 2) * kRowBytes);
}

/// As binary votes are decided: one result plane.
void benchDecideVotes(benchmark::State& state, const Kernels* kernels, int nplanes, TieBits ties,
                      std::size_t row_bytes) {
  const std::size_t nwords = row_bytes / sizeof(Word);
  Rows counts(nplanes, nwords), votes(1, nwords);
  const std::uint64_t threshold = (std::uint64_t{1} << nplanes) / 4 + 1;  // 2, 3 and 4 planes: of 2, 4 and 8 ranks
  for (auto _ : state) {
    kernels->decide(counts.view(), threshold, true, ties, nwords, votes.row(0), nullptr);
    benchmark::ClobberMemory();
  }
  setRates(state, nwords * kWordBits, static_cast<std::size_t>(nplanes + 1) * row_bytes);
}

void benchRestoreTop(benchmark::State& state, const Kernels* kernels, int nplanes) {
  Rows low(nplanes, kRowWords), own(2, kRowWords), top(1, kRowWords);
  for (auto _ : state) {
    kernels->restoreTop(low.view(), own.row(0), own.row(1), kRowWords, top.row(0));
    benchmark::ClobberMemory();
  }
  setRates(state, kRowWords * kWordBits, static_cast<std::size_t>(nplanes + 3) * kRowBytes);
}

constexpr std::size_t kCount = 4096;

void benchEncode(benchmark::State& state, const Kernels* kernels, ElementType type, bool ternary) {
  BenchBuffer elements(elementBytes(type, kCount)), positive(kCount / 8), nonnegative(kCount / 8);
  for (auto _ : state) {
    if (ternary) {
      kernels->encodeTernary(type, elements.data(), kCount, positive.words(), nonnegative.words());
    } else {
      kernels->encodeBinary(type, elements.data(), kCount, nonnegative.words());
    }
    benchmark::ClobberMemory();
  }
  setRates(state, kCount, elements.size() + (ternary ? 2 : 1) * kCount / 8);
}

void benchDecodeVote(benchmark::State& state, const Kernels* kernels, ElementType type, bool zeros) {
  BenchBuffer elements(elementBytes(type, kCount)), positive(kCount / 8), nonnegative(kCount / 8);
  const Word* second = zeros ? nonnegative.words() : nullptr;
  for (auto _ : state) {
    kernels->decodeVote(type, positive.words(), second, kCount, elements.data(), Store::kCached);
    benchmark::ClobberMemory();
  }
  setRates(state, kCount, elements.size() + (zeros ? 2 : 1) * kCount / 8);
}

void benchDecodeAvg(benchmark::State& state, const Kernels* kernels, ElementType type, int nplanes) {
  BenchBuffer table(elementBytes(type, std::size_t{1} << nplanes)), elements(elementBytes(type, kCount));
  Rows counts(nplanes, kCount / kWordBits);
  for (auto _ : state) {
    kernels->decodeAvg(type, counts.view(), table.data(), kCount, elements.data(), Store::kCached);
    benchmark::ClobberMemory();
  }
  setRates(state, kCount, elements.size() + static_cast<std::size_t>(nplanes) * kCount / 8);
}

constexpr FloatType kLionTypes[] = {FloatType::kFloat32, FloatType::kFloat16, FloatType::kBFloat16};
constexpr const char* kLionTypeNames[] = {"float32", "float16", "bfloat16"};

/// Ones: arithmetic with the NaNs and denormals of random bits is slow on many processors.
BenchBuffer ones(FloatType type) {
  BenchBuffer numbers(kCount * floatBytes(type));
  BenchBuffer signs(kCount / 8);
  for (std::size_t i = 0; i < kCount / kWordBits; ++i) signs.words()[i] = ~Word{0};
  const ElementType element_type = type == FloatType::kFloat32   ? ElementType::kFloat32
                                   : type == FloatType::kFloat16 ? ElementType::kFloat16
                                                                 : ElementType::kBFloat16;
  referenceKernels().decodeVote(element_type, signs.words(), nullptr, kCount, numbers.data(), Store::kCached);
  return numbers;
}

void benchLionEncode(benchmark::State& state, const Kernels* kernels, FloatType gradient_type,
                     FloatType momentum_type) {
  BenchBuffer gradients = ones(gradient_type), momenta = ones(momentum_type), signs(kCount / 8);
  const LionMomenta lion{gradient_type, momentum_type, gradients.data(), momenta.data(), {0.9F, 0.1F, 0.99F, 0.01F}};
  for (auto _ : state) {
    kernels->encodeLion(lion, kCount, nullptr, signs.words());
    benchmark::ClobberMemory();
  }
  setRates(state, kCount, gradients.size() + 2 * momenta.size());
}

/// A learning rate of 0: parameters stay what they are, however many steps are taken.
void benchLionDecode(benchmark::State& state, const Kernels* kernels, FloatType type, bool is_stochastic) {
  BenchBuffer parameters = ones(type), signs(kCount / 8);
  const LionParameters lion{type, parameters.data(), 0, 0.1F, {is_stochastic, 1, 0}};
  for (auto _ : state) {
    kernels->decodeVoteLion(lion, signs.words(), nullptr, kCount);
    benchmark::ClobberMemory();
  }
  setRates(state, kCount, 2 * parameters.size());
}

template <typename... Args>
void add(const std::string& name, const Kernels* kernels, Args... args) {
  benchmark::RegisterBenchmark((name + "/" + kernels->name).c_str(), args...)->MinTime(kMinSeconds);
}

void addCounters(const Kernels* kernels) {
  for (const int ninputs : {2, 3, 4, 7, 8, 15, 16, 32, 64, 300}) {
    add("count/inputs:" + std::to_string(ninputs) + "/row_bytes:4096", kernels, benchCount, kernels, ninputs,
        kRowBytes);
  }
  add("count/inputs:8/row_bytes:65536", kernels, benchCount, kernels, 8, 16 * kRowBytes);
  add("count_and_decide/inputs:8/row_bytes:4096", kernels, benchCountAndDecide, kernels);
  for (const int nplanes : {2, 4, 8}) {
    const std::string planes = "/planes:" + std::to_string(nplanes);
    add("merge" + planes, kernels, benchMerge, kernels, nplanes);
    add("clamp" + planes, kernels, benchClamp, kernels, nplanes);
    add("decide" + planes, kernels, benchDecide, kernels, nplanes);
    add("restore_top" + planes, kernels, benchRestoreTop, kernels, nplanes);
  }
  for (const int nplanes : {2, 3, 4, 8}) {
    for (const std::size_t row_bytes : {kRowBytes, 16 * kRowBytes, 2048 * kRowBytes}) {
      const std::string rest = "/planes:" + std::to_string(nplanes) + "/row_bytes:" + std::to_string(row_bytes);
      add("decide_same_ties" + rest, kernels, benchDecideVotes, kernels, nplanes, sameTies(0), row_bytes);
      add("decide_random_ties" + rest, kernels, benchDecideVotes, kernels, nplanes, randomTies(0, 0), row_bytes);
    }
  }
}

void addElements(const Kernels* kernels) {
  for (const Type& t : kFloatTypesAndBytes) {
    const std::string type = std::string("/") + t.name;
    add("encode_binary" + type, kernels, benchEncode, kernels, t.type, false);
    add("encode_ternary" + type, kernels, benchEncode, kernels, t.type, true);
    add("decode_vote" + type, kernels, benchDecodeVote, kernels, t.type, false);
    add("decode_vote_zeros" + type, kernels, benchDecodeVote, kernels, t.type, true);
  }
  add("encode_binary/bits", kernels, benchEncode, kernels, ElementType::kBits, false);
  add("decode_vote/bits", kernels, benchDecodeVote, kernels, ElementType::kBits, false);
  constexpr Type kMeanTypes[] = {{ElementType::kFloat32, "float32"},
                                 {ElementType::kFloat16, "float16"},
                                 {ElementType::kFloat64, "float64"},
                                 {ElementType::kInt8, "int8"}};
  for (const Type& t : kMeanTypes) {
    for (const int nplanes : {4, 6, 8, 12}) {
      add(std::string("decode_avg/") + t.name + "/planes:" + std::to_string(nplanes), kernels, benchDecodeAvg, kernels,
          t.type, nplanes);
    }
  }
}

void addLion(const Kernels* kernels) {
  for (const FloatType momentum : kLionTypes) {
    const char* const momentum_name = kLionTypeNames[static_cast<int>(momentum)];
    for (const FloatType gradient : kLionTypes) {
      const char* const gradient_name = kLionTypeNames[static_cast<int>(gradient)];
      add(std::string("lion_encode/") + gradient_name + "/" + momentum_name, kernels, benchLionEncode, kernels,
          gradient, momentum);
    }
    add(std::string("lion_decode/") + momentum_name, kernels, benchLionDecode, kernels, momentum, false);
  }
  add("lion_decode/bfloat16_stochastic", kernels, benchLionDecode, kernels, FloatType::kBFloat16, true);
}

}  // namespace

void addCacheBenchmarks(const std::vector<const Kernels*>& instances) {
  for (const Kernels* kernels : instances) {
    addCounters(kernels);
    addElements(kernels);
    addLion(kernels);
  }
}

}  // namespace signccl
