// SPDX-License-Identifier: Apache-2.0
#include "kernel_bench/gpu_cases.h"

#include <algorithm>
#include <span>
#include <utility>

#include "kernels/device/arguments.h"
#include "kernels/device/lion_arguments.h"
#include "kernels/device/lion_tables.h"
#include "kernels/lanes/tiles.h"

namespace signccl {
namespace {

constexpr std::size_t kAlignment = 256;
constexpr int kRanks = 8;

/// Hands out the buffers of a launch one after the other, and counts. Without a device it only counts.
class Layout {
 public:
  Layout(Gpu* gpu, CudaDevicePointer at) : gpu_(gpu), begin_(at), next_(at) {}

  /// Memory that is read or written once.
  template <typename T = std::byte>
  T* take(std::size_t bytes) {
    moved_bytes_ += bytes;
    return reserve<T>(bytes);
  }

  /// Memory that is read and written.
  std::byte* takeReadAndWritten(std::size_t bytes) {
    moved_bytes_ += 2 * bytes;
    return reserve<std::byte>(bytes);
  }

  Word* plane(std::size_t count) { return take<Word>(wordsFor(count) * sizeof(Word)); }

  Planes planes(int nplanes, std::size_t nwords) {
    const std::size_t stride = (nwords * sizeof(Word) + kAlignment - 1) / kAlignment * kAlignment / sizeof(Word);
    moved_bytes_ += static_cast<std::size_t>(nplanes) * nwords * sizeof(Word);
    return {reserve<Word>(static_cast<std::size_t>(nplanes) * stride * sizeof(Word)), stride, nplanes};
  }
  ConstPlanes constPlanes(int nplanes, std::size_t nwords) {
    const Planes made = planes(nplanes, nwords);
    return {made.words, made.stride, made.nplanes};
  }

  /// A small array with these contents, which is not counted.
  template <typename T>
  const T* table(std::span<const T> values) {
    if (gpu_ == nullptr) return nullptr;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an address of the device
    return reinterpret_cast<const T*>(gpu_->store(values.data(), values.size_bytes()));
  }

  [[nodiscard]] std::size_t bytes() const { return next_ - begin_; }
  [[nodiscard]] std::size_t movedBytes() const { return moved_bytes_; }

 private:
  template <typename T>
  T* reserve(std::size_t bytes) {
    T* const at = reinterpret_cast<T*>(next_);  // NOLINT(performance-no-int-to-ptr): an address of the device
    next_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return at;
  }

  Gpu* gpu_;
  CudaDevicePointer begin_;
  CudaDevicePointer next_;
  std::size_t moved_bytes_ = 0;
};

/// `arguments(layout)` lays the buffers out and gives the arguments of the kernel.
template <typename Arguments>
GpuCase makeCase(DeviceKernel kernel, const std::string& suffix, std::size_t count, const Arguments& arguments) {
  Layout counting(nullptr, 0);
  arguments(counting);
  constexpr std::size_t kPrefix = sizeof("signccl_") - 1;
  GpuCase made;
  made.name = kDeviceKernelNames[static_cast<std::size_t>(kernel)] + kPrefix + suffix;
  made.set_bytes = counting.bytes();
  made.moved_bytes = counting.movedBytes();
  made.prepare = [=](Gpu& gpu, CudaDevicePointer at) -> GpuLaunch {
    Layout layout(&gpu, at);
    return [kernel, count, prepared = arguments(layout)](const Gpu& of) {
      of.launch(kernel, prepared, lanes::tilesFor(count));
    };
  };
  return made;
}

constexpr ElementType kSignTypes[] = {ElementType::kFloat32, ElementType::kFloat16, ElementType::kBFloat16,
                                      ElementType::kFloat64, ElementType::kInt8,    ElementType::kBits};

void addEncode(std::vector<GpuCase>& cases, std::size_t count) {
  for (const bool is_ternary : {false, true}) {
    for (const ElementType type : kSignTypes) {
      cases.push_back(makeCase(encodeKernel(type, is_ternary), "", count, [=](Layout& layout) {
        EncodeArguments arguments{};
        arguments.elements = layout.take(elementBytes(type, count));
        arguments.count = count;
        if (is_ternary) arguments.positive = layout.plane(count);
        arguments.nonnegative = layout.plane(count);
        return arguments;
      }));
    }
  }
}

void addDecode(std::vector<GpuCase>& cases, std::size_t count) {
  for (const bool has_zeros : {false, true}) {
    for (const ElementType type : kSignTypes) {
      if (has_zeros && type == ElementType::kBits) continue;
      cases.push_back(makeCase(decodeVoteKernel(type, has_zeros), "", count, [=](Layout& layout) {
        DecodeVoteArguments arguments{};
        arguments.positive = layout.plane(count);
        if (has_zeros) arguments.nonnegative = layout.plane(count);
        arguments.count = count;
        arguments.elements = layout.take(elementBytes(type, count));
        return arguments;
      }));
    }
  }
  for (const int nplanes : {4, 7}) {
    for (const ElementType type :
         {ElementType::kFloat32, ElementType::kBFloat16, ElementType::kFloat64, ElementType::kInt8}) {
      const std::vector<double> zeros(std::size_t{1} << nplanes);
      cases.push_back(makeCase(decodeAvgKernel(type, nplanes), "", count, [=](Layout& layout) {
        DecodeAvgArguments arguments{};
        arguments.counts = layout.constPlanes(nplanes, wordsFor(count));
        arguments.table = layout.table(std::span<const double>(zeros));
        arguments.count = count;
        arguments.elements = layout.take(elementBytes(type, count));
        return arguments;
      }));
    }
  }
}

DeviceKernel after(DeviceKernel first, int distance) {
  return static_cast<DeviceKernel>(static_cast<int>(first) + distance);
}

int planesOf(int ninputs) {
  int nplanes = 0;
  while (ninputs >> nplanes != 0) ++nplanes;
  return nplanes;
}

void addCount(std::vector<GpuCase>& cases, std::size_t count) {
  const std::size_t nwords = wordsFor(count);
  for (const int ninputs : {2, 4, 8, 16}) {
    cases.push_back(makeCase(after(DeviceKernel::count_1, ninputs - 1), "", count, [=](Layout& layout) {
      CountArguments arguments{};
      arguments.inputs.planes = layout.constPlanes(ninputs, nwords);
      arguments.nwords = nwords;
      arguments.counts = layout.planes(planesOf(ninputs), nwords);
      return arguments;
    }));
    cases.push_back(makeCase(after(DeviceKernel::count_decide_1, ninputs - 1), "", count, [=](Layout& layout) {
      CountDecideArguments arguments{};
      arguments.inputs.planes = layout.constPlanes(ninputs, nwords);
      arguments.nwords = nwords;
      arguments.decision = {
          static_cast<std::uint64_t>(ninputs / 2 + 1), true, {true, 1, 0}, layout.plane(count), nullptr};
      return arguments;
    }));
  }
}

void addCounters(std::vector<GpuCase>& cases, std::size_t count) {
  const std::size_t nwords = wordsFor(count);
  const int nplanes = planesOf(kRanks);
  cases.push_back(makeCase(DeviceKernel::merge, "_4_planes", count, [=](Layout& layout) {
    MergeArguments arguments{};
    arguments.a = layout.constPlanes(nplanes, nwords);
    arguments.b = layout.constPlanes(nplanes, nwords);
    arguments.nwords = nwords;
    arguments.sum = layout.planes(nplanes + 1, nwords);
    return arguments;
  }));
  cases.push_back(makeCase(DeviceKernel::decide, "_4_planes", count, [=](Layout& layout) {
    DecideArguments arguments{};
    arguments.counts = layout.constPlanes(nplanes, nwords);
    arguments.decision = {kRanks / 2 + 1, true, {true, 1, 0}, layout.plane(count), nullptr};
    arguments.nwords = nwords;
    return arguments;
  }));
}

/// `base` is null while the bytes that are needed are only added up.
std::byte* advanced(std::byte* base, std::size_t bytes) {
  return reinterpret_cast<std::byte*>(reinterpret_cast<std::uintptr_t>(base) + bytes);
}

/// A table of `ntensors` tensors that together have the elements of a step.
struct Tensors {
  std::vector<LionEntry> entries;
  std::vector<std::uint32_t> first_tiles;
  std::vector<LionGradients> gradients;
  std::size_t nwords = 0;

  /// The last tensor is the longest.
  Tensors(std::size_t count, std::size_t ntensors, std::byte* numbers, std::size_t number_bytes, std::byte* gradient,
          std::size_t gradient_bytes) {
    const std::size_t each = count / ntensors / lanes::kTileElements * lanes::kTileElements;
    for (std::size_t t = 0; t < ntensors; ++t) {
      const std::size_t first = t * each;
      const std::size_t mine = t + 1 == ntensors ? count - first : each;
      entries.push_back({advanced(numbers, first * number_bytes), mine, nwords, 0});
      gradients.push_back({advanced(gradient, first * gradient_bytes)});
      nwords += wordsFor(mine);
    }
    first_tiles.resize(ntensors);
    layOutLionTiles(entries, first_tiles);
  }

  LionTable upload(Layout& layout) const {
    const LionHyperparameters group[] = {{{0.9F, 0.1F, 0.99F, 0.01F}, 1e-3F, 0.1F}};
    return {layout.table(std::span<const std::uint32_t>(first_tiles)),
            layout.table(std::span<const LionEntry>(entries)),
            layout.table(std::span<const LionHyperparameters>(group)), static_cast<std::uint32_t>(entries.size())};
  }
  [[nodiscard]] LionRange range() const { return lionRangeOf(entries, first_tiles, 0, nwords); }
};

std::string suffixOf(std::size_t ntensors) {
  return ntensors == 1 ? "" : "_of_" + std::to_string(ntensors) + "_tensors";
}

GpuCase lionEncode(std::size_t count, std::size_t ntensors, FloatType gradient, FloatType momentum) {
  const DeviceKernel kernel = lionEncodeKernel(gradient, momentum, /*is_ternary=*/false);
  return makeCase(kernel, suffixOf(ntensors), count, [=](Layout& layout) {
    std::byte* const gradients = layout.take(count * floatBytes(gradient));
    std::byte* const momenta = layout.takeReadAndWritten(count * floatBytes(momentum));
    const Tensors tensors(count, ntensors, momenta, floatBytes(momentum), gradients, floatBytes(gradient));
    LionEncodeArguments arguments{};
    arguments.table = tensors.upload(layout);
    arguments.range = tensors.range();
    arguments.gradients = layout.table(std::span<const LionGradients>(tensors.gradients));
    arguments.nonnegative = layout.plane(count);
    return arguments;
  });
}

LionStepArguments lionStep(Layout& layout, std::size_t count, std::size_t ntensors, FloatType type) {
  std::byte* const parameters = layout.takeReadAndWritten(count * floatBytes(type));
  const Tensors tensors(count, ntensors, parameters, floatBytes(type), nullptr, 0);
  const std::uint64_t key[] = {1};
  return {tensors.upload(layout), tensors.range(), nullptr, layout.table(std::span<const std::uint64_t>(key)), nullptr};
}

GpuCase lionVote(std::size_t count, std::size_t ntensors, FloatType type, bool is_stochastic) {
  const DeviceKernel kernel = lionVoteKernel(type, is_stochastic, /*has_zeros=*/false);
  return makeCase(kernel, suffixOf(ntensors), count, [=](Layout& layout) {
    LionVoteArguments arguments{};
    arguments.step = lionStep(layout, count, ntensors, type);
    arguments.positive = layout.plane(count);
    return arguments;
  });
}

GpuCase lionMean(std::size_t count, std::size_t ntensors, FloatType type) {
  const int nplanes = planesOf(kRanks);
  const DeviceKernel kernel = lionAvgKernel(type, /*is_stochastic=*/false, nplanes);
  const std::vector<float> means(std::size_t{1} << nplanes);
  return makeCase(kernel, suffixOf(ntensors), count, [=](Layout& layout) {
    LionAvgArguments arguments{};
    arguments.step = lionStep(layout, count, ntensors, type);
    const ConstPlanes counts = layout.constPlanes(nplanes, wordsFor(count));
    arguments.counts = counts.words;
    arguments.stride = counts.stride;
    arguments.nplanes = counts.nplanes;
    arguments.means = layout.table(std::span<const float>(means));
    return arguments;
  });
}

void addLion(std::vector<GpuCase>& cases, std::size_t count) {
  for (const std::size_t ntensors : {std::size_t{1}, std::min<std::size_t>(300, count / lanes::kTileElements + 1)}) {
    cases.push_back(lionEncode(count, ntensors, FloatType::kFloat32, FloatType::kFloat32));
    cases.push_back(lionEncode(count, ntensors, FloatType::kBFloat16, FloatType::kFloat32));
    cases.push_back(lionEncode(count, ntensors, FloatType::kBFloat16, FloatType::kBFloat16));
    cases.push_back(lionVote(count, ntensors, FloatType::kFloat32, /*is_stochastic=*/false));
    cases.push_back(lionVote(count, ntensors, FloatType::kBFloat16, /*is_stochastic=*/false));
    cases.push_back(lionVote(count, ntensors, FloatType::kBFloat16, /*is_stochastic=*/true));
    cases.push_back(lionMean(count, ntensors, FloatType::kFloat32));
    cases.push_back(lionMean(count, ntensors, FloatType::kBFloat16));
    if (count <= lanes::kTileElements) break;
  }
}

}  // namespace

std::vector<GpuCase> gpuCases(std::size_t elements) {
  std::vector<GpuCase> cases;
  addEncode(cases, elements);
  addDecode(cases, elements);
  addCount(cases, elements);
  addCounters(cases, elements);
  addLion(cases, elements);
  return cases;
}

}  // namespace signccl
