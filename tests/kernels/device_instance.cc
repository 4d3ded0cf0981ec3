// SPDX-License-Identifier: Apache-2.0
// The kernels of a GPU on a GPU, as one more instance of Kernels, named "device": buffers are copied to the device and
// back. If the variable SIGNCCL_TEST_DEVICE is set, every test of kernels runs on it, too, be the driver a fake one.
// Where CUDA fails the instance throws the library's Error, and std::logic_error if a kernel has written beyond its
// outputs.
#include <cstdlib>
#include <string>
#include <vector>

#include "device_launch.h"
#include "kernels/complete_counts.h"
#include "kernels/device/arguments.h"
#include "kernels/device/lion_arguments.h"
#include "kernels/device/lion_tables.h"
#include "kernels/lanes/tiles.h"
#include "kernels_test_support.h"

namespace signccl {
namespace {

std::size_t tilesOfWords(std::size_t nwords) { return lanes::tilesFor(nwords * kWordBits); }

std::size_t planeBytes(std::size_t count) { return wordsFor(count) * sizeof(Word); }

DeviceKernel after(DeviceKernel first, int distance) {
  return static_cast<DeviceKernel>(static_cast<int>(first) + distance);
}

void encode(DeviceKernel kernel, ElementType type, const void* elements, std::size_t count, Word* positive,
            Word* nonnegative) {
  DeviceLaunch launch;
  EncodeArguments arguments{};
  arguments.elements =
      launch.in(static_cast<const std::byte*>(elements), elementBytes(type, count), elementBytes(type, 1));
  arguments.count = count;
  arguments.positive = launch.out(positive, planeBytes(count));
  arguments.nonnegative = launch.out(nonnegative, planeBytes(count));
  launch.run(kernel, arguments, lanes::tilesFor(count));
}

void encodeBinary(ElementType type, const void* elements, std::size_t count, Word* nonnegative) {
  encode(encodeKernel(type, false), type, elements, count, nullptr, nonnegative);
}

void encodeTernary(ElementType type, const void* elements, std::size_t count, Word* positive, Word* nonnegative) {
  encode(encodeKernel(type, true), type, elements, count, positive, nonnegative);
}

/// The planes are those of the reference: a GPU checks elements apart from encoding them.
std::uint32_t checkSigns(ElementType type, const void* elements, std::size_t count) {
  DeviceLaunch launch;
  std::uint32_t met[2] = {};
  CheckSignsArguments arguments{};
  arguments.elements =
      launch.in(static_cast<const std::byte*>(elements), elementBytes(type, count), elementBytes(type, 1));
  arguments.count = count;
  arguments.met = launch.inOut(met, sizeof met);
  arguments.value = 1;
  launch.run(checkSignsKernel(type), arguments, lanes::tilesFor(count));
  return (met[0] != 0 ? kMetZeros : 0) | (met[1] != 0 ? kMetOthers : 0);
}

std::uint32_t encodeSumBinary(ElementType type, const void* elements, std::size_t count, Word* nonnegative) {
  referenceKernels().encodeSumBinary(type, elements, count, nonnegative);
  return checkSigns(type, elements, count);
}

std::uint32_t encodeSumTernary(ElementType type, const void* elements, std::size_t count, Word* positive,
                               Word* nonnegative) {
  referenceKernels().encodeSumTernary(type, elements, count, positive, nonnegative);
  return checkSigns(type, elements, count);
}

void count(const Word* const* inputs, int ninputs, std::size_t nwords, Planes counts) {
  if (ninputs == 0) return;
  DeviceLaunch launch;
  std::vector<const Word*> addresses;
  for (int k = 0; k < ninputs; ++k) addresses.push_back(launch.in(inputs[k], nwords * sizeof(Word)));
  CountArguments arguments{};
  arguments.inputs.planes.nplanes = ninputs;
  arguments.inputs.addresses = launch.in(addresses.data(), addresses.size() * sizeof(Word*));
  arguments.nwords = nwords;
  arguments.counts = launch.out(counts, nwords);
  constexpr int kMostOfFew = 16;
  const DeviceKernel many = counts.nplanes <= 8 ? DeviceKernel::count_8_planes : DeviceKernel::count_16_planes;
  launch.run(ninputs <= kMostOfFew ? after(DeviceKernel::count_1, ninputs - 1) : many, arguments, tilesOfWords(nwords));
}

/// The planes that are read, of which `written` ones of `nplanes` planes may be the same.
ConstPlanes readPlanes(DeviceLaunch& launch, ConstPlanes planes, std::size_t nwords, Planes written) {
  if (planes.words != written.words || written.nplanes <= planes.nplanes) return launch.in(planes, nwords);
  // The buffer has room for all planes that will be written; what the kernel reads of them is nothing.
  const ConstPlanes all = launch.in(ConstPlanes{planes.words, planes.stride, written.nplanes}, nwords);
  return {all.words, all.stride, planes.nplanes};
}

void merge(ConstPlanes a, ConstPlanes b, std::size_t nwords, Planes sum) {
  DeviceLaunch launch;
  MergeArguments arguments{};
  arguments.a = readPlanes(launch, a, nwords, sum);
  arguments.b = readPlanes(launch, b, nwords, sum);
  arguments.nwords = nwords;
  arguments.sum = launch.out(sum, nwords);
  launch.run(DeviceKernel::merge, arguments, tilesOfWords(nwords));
}

void clamp(ConstPlanes in, uint64_t low, uint64_t high, std::size_t nwords, Planes out) {
  DeviceLaunch launch;
  ClampArguments arguments{};
  arguments.in = readPlanes(launch, in, nwords, out);
  arguments.low = low;
  arguments.high = high;
  arguments.nwords = nwords;
  arguments.out = launch.out(out, nwords);
  launch.run(DeviceKernel::clamp, arguments, tilesOfWords(nwords));
}

void decide(ConstPlanes counts, uint64_t threshold, bool has_ties, TieBits ties, std::size_t nwords, Word* positive,
            Word* nonnegative) {
  DeviceLaunch launch;
  DecideArguments arguments{};
  arguments.counts = launch.in(counts, nwords);
  arguments.decision = {threshold, has_ties, ties, launch.out(positive, nwords * sizeof(Word)),
                        launch.out(nonnegative, nwords * sizeof(Word))};
  arguments.nwords = nwords;
  launch.run(DeviceKernel::decide, arguments, tilesOfWords(nwords));
}

void restoreTop(ConstPlanes low, const Word* own_positive, const Word* own_nonnegative, std::size_t nwords, Word* top) {
  DeviceLaunch launch;
  RestoreTopArguments arguments{};
  arguments.low = launch.in(low, nwords);
  arguments.own_positive = launch.in(own_positive, nwords * sizeof(Word));
  arguments.own_nonnegative = launch.in(own_nonnegative, nwords * sizeof(Word));
  arguments.nwords = nwords;
  arguments.top = launch.out(top, nwords * sizeof(Word));
  launch.run(DeviceKernel::restore_top, arguments, tilesOfWords(nwords));
}

std::byte* outElements(DeviceLaunch& launch, ElementType type, void* elements, std::size_t count) {
  return launch.out(static_cast<std::byte*>(elements), elementBytes(type, count), elementBytes(type, 1));
}

void decodeVote(ElementType type, const Word* positive, const Word* nonnegative, std::size_t count, void* elements,
                Store /*store*/) {
  DeviceLaunch launch;
  DecodeVoteArguments arguments{};
  arguments.positive = launch.in(positive, planeBytes(count));
  arguments.nonnegative = launch.in(nonnegative, planeBytes(count));
  arguments.count = count;
  arguments.elements = outElements(launch, type, elements, count);
  launch.run(decodeVoteKernel(type, nonnegative != nullptr), arguments, lanes::tilesFor(count));
}

void decodeAvg(ElementType type, Counts counts, const void* table, std::size_t count, void* elements, Store /*store*/) {
  DeviceLaunch launch;
  DecodeAvgArguments arguments{};
  const CompleteCounts complete(counts, wordsFor(count), restoreTop);
  arguments.counts = launch.in(complete.planes(), wordsFor(count));
  arguments.table = launch.in(static_cast<const std::byte*>(table),
                              elementBytes(type, std::size_t{1} << counts.nplanes()), elementBytes(type, 1));
  arguments.count = count;
  arguments.elements = outElements(launch, type, elements, count);
  launch.run(decodeAvgKernel(type, counts.nplanes()), arguments, lanes::tilesFor(count));
}

/// A table of one tensor on the device. Lives until the launch.
class OneTensor {
 public:
  OneTensor(DeviceLaunch& launch, const LionEntry& entry, const LionHyperparameters& group)
      : entry_(entry),
        group_(group),
        range_(
            lionRangeOf({&entry_, 1}, {&first_tile_, 1}, entry.first_word, entry.first_word + wordsFor(entry.count))),
        table_{launch.in(&first_tile_, sizeof first_tile_), launch.in(&entry_, sizeof entry_),
               launch.in(&group_, sizeof group_), 1} {}
  OneTensor(const OneTensor&) = delete;
  OneTensor& operator=(const OneTensor&) = delete;

  [[nodiscard]] const LionTable& table() const { return table_; }
  [[nodiscard]] const LionRange& range() const { return range_; }
  [[nodiscard]] std::size_t ntiles() const { return range_.end_tile - range_.begin_tile; }

 private:
  uint32_t first_tile_ = 0;
  LionEntry entry_;
  LionHyperparameters group_;
  LionRange range_;
  LionTable table_;
};

void encodeLion(const LionMomenta& lion, std::size_t count, Word* positive, Word* nonnegative) {
  DeviceLaunch launch;
  const std::size_t gradient_bytes = floatBytes(lion.gradient_type);
  const std::size_t momentum_bytes = floatBytes(lion.momentum_type);
  const LionGradients gradients{
      launch.in(static_cast<const std::byte*>(lion.gradients), count * gradient_bytes, gradient_bytes)};
  std::byte* const momenta =
      launch.inOut(static_cast<std::byte*>(lion.momenta), count * momentum_bytes, momentum_bytes);
  const OneTensor tensor(launch, {momenta, count, 0, 0}, {lion.betas, 0, 0});
  LionEncodeArguments arguments{};
  arguments.table = tensor.table();
  arguments.range = tensor.range();
  arguments.gradients = launch.in(&gradients, sizeof gradients);
  arguments.positive = launch.out(positive, planeBytes(count));
  arguments.nonnegative = launch.out(nonnegative, planeBytes(count));
  launch.run(lionEncodeKernel(lion.gradient_type, lion.momentum_type, positive != nullptr), arguments, tensor.ntiles());
}

/// The parameters of a step.
class Step {
 public:
  Step(DeviceLaunch& launch, const LionParameters& lion, std::size_t count)
      : tensor_(launch,
                {launch.inOut(static_cast<std::byte*>(lion.parameters), count * floatBytes(lion.type),
                              floatBytes(lion.type)),
                 count, lion.rounding.first / kWordBits, 0},
                {{}, lion.learning_rate, lion.weight_decay}),
        arguments_{tensor_.table(), tensor_.range(), nullptr, launch.in(&lion.rounding.key, sizeof lion.rounding.key),
                   nullptr},
        type_(lion.type),
        is_stochastic_(lion.type == FloatType::kBFloat16 && lion.rounding.is_stochastic) {}

  [[nodiscard]] const LionStepArguments& arguments() const { return arguments_; }
  [[nodiscard]] std::size_t ntiles() const { return tensor_.ntiles(); }
  [[nodiscard]] DeviceKernel voteKernel(bool has_zeros) const {
    return lionVoteKernel(type_, is_stochastic_, has_zeros);
  }
  [[nodiscard]] DeviceKernel avgKernel(int nplanes) const { return lionAvgKernel(type_, is_stochastic_, nplanes); }

 private:
  OneTensor tensor_;
  LionStepArguments arguments_;
  FloatType type_;
  bool is_stochastic_;
};

void decodeVoteLion(const LionParameters& lion, const Word* positive, const Word* nonnegative, std::size_t count) {
  DeviceLaunch launch;
  const Step step(launch, lion, count);
  const LionVoteArguments arguments{step.arguments(), launch.in(positive, planeBytes(count)),
                                    launch.in(nonnegative, planeBytes(count))};
  launch.run(step.voteKernel(nonnegative != nullptr), arguments, step.ntiles());
}

void decodeAvgLion(const LionParameters& lion, Counts counts, const float* table, std::size_t count) {
  DeviceLaunch launch;
  const Step step(launch, lion, count);
  const CompleteCounts complete(counts, wordsFor(count), restoreTop);
  const ConstPlanes planes = launch.in(complete.planes(), wordsFor(count));
  const LionAvgArguments arguments{step.arguments(), planes.words, planes.stride, planes.nplanes,
                                   launch.in(table, (std::size_t{1} << counts.nplanes()) * sizeof(float))};
  launch.run(step.avgKernel(counts.nplanes()), arguments, step.ntiles());
}

Kernels makeKernels() {
  Kernels kernels = referenceKernels();
  kernels.name = "device";
  kernels.encodeBinary = encodeBinary;
  kernels.encodeTernary = encodeTernary;
  kernels.encodeSumBinary = encodeSumBinary;
  kernels.encodeSumTernary = encodeSumTernary;
  kernels.count = count;
  kernels.merge = merge;
  kernels.clamp = clamp;
  kernels.decide = decide;
  kernels.restoreTop = restoreTop;
  kernels.decodeVote = decodeVote;
  kernels.decodeAvg = decodeAvg;
  kernels.encodeLion = encodeLion;
  kernels.decodeVoteLion = decodeVoteLion;
  kernels.decodeAvgLion = decodeAvgLion;
  return kernels;
}

const std::string& whyNoDevice() {
  static const std::string why = beginDevice();
  return why;
}

[[maybe_unused]] const bool kIsAdded = [] {
  static const Kernels kernels = makeKernels();
  if (std::getenv("SIGNCCL_TEST_DEVICE") != nullptr) addedInstance() = {&kernels, whyNoDevice};
  return true;
}();

}  // namespace
}  // namespace signccl
