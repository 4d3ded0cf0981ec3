// SPDX-License-Identifier: Apache-2.0
#include "kernels/emulated_lion.h"

#include <cstring>
#include <vector>

#include "kernels/complete_counts.h"
#include "kernels/device/lion_kernel_list.h"
#include "kernels/device/lion_tables.h"
#include "kernels/emulated_counters.h"
#include "kernels/float_mode.h"
#include "kernels/lanes/lion_decode.h"
#include "kernels/lanes/lion_encode.h"
#include "kernels/lanes/run_on_host.h"

namespace signccl::emulated {
namespace {

/// Blocks of a launch: few, so that warps walk over several tiles.
constexpr size_t kBlocks = 2;

// Never inlined: see DefaultFloatMode.
#define SIGNCCL_RUN_KERNEL(name, Arguments, ...)                            \
  [[gnu::noinline]] void name(const Arguments& arguments, size_t nblocks) { \
    lanes::runOnHost<lanes::DirectMemory, __VA_ARGS__>(arguments, nblocks); \
  }
SIGNCCL_LION_ENCODE_KERNELS(SIGNCCL_RUN_KERNEL)
SIGNCCL_LION_DECODE_KERNELS(SIGNCCL_RUN_KERNEL)

template <typename Arguments>
using Kernel = void (*)(const Arguments& arguments, size_t nblocks);

template <typename Arguments>
void run(Kernel<Arguments> kernel, const Arguments& arguments, size_t nblocks) {
  const DefaultFloatMode mode;
  kernel(arguments, nblocks);
}

size_t indexOf(FloatType type) { return static_cast<size_t>(type); }

/// Stochastic rounding comes after the types.
size_t indexOf(LionStepTypes types) { return types.is_stochastic ? 3 : indexOf(types.parameter); }

/// By signs, momenta and gradients.
constexpr Kernel<LionEncodeArguments> kEncodeKernels[2][3][3] = {
    {{lion_encode_binary_float32_float32, lion_encode_binary_float16_float32, lion_encode_binary_bfloat16_float32},
     {lion_encode_binary_float32_float16, lion_encode_binary_float16_float16, lion_encode_binary_bfloat16_float16},
     {lion_encode_binary_float32_bfloat16, lion_encode_binary_float16_bfloat16, lion_encode_binary_bfloat16_bfloat16}},
    {{lion_encode_ternary_float32_float32, lion_encode_ternary_float16_float32, lion_encode_ternary_bfloat16_float32},
     {lion_encode_ternary_float32_float16, lion_encode_ternary_float16_float16, lion_encode_ternary_bfloat16_float16},
     {lion_encode_ternary_float32_bfloat16, lion_encode_ternary_float16_bfloat16,
      lion_encode_ternary_bfloat16_bfloat16}}};

/// Without and with zeros.
constexpr Kernel<LionVoteArguments> kVoteKernels[2][4] = {
    {lion_decode_vote_float32, lion_decode_vote_float16, lion_decode_vote_bfloat16,
     lion_decode_vote_bfloat16_stochastic},
    {lion_decode_vote_zeros_float32, lion_decode_vote_zeros_float16, lion_decode_vote_zeros_bfloat16,
     lion_decode_vote_zeros_bfloat16_stochastic}};

/// For up to 8 and up to 16 planes.
constexpr Kernel<LionAvgArguments> kAvgKernels[2][4] = {
    {lion_decode_avg8_float32, lion_decode_avg8_float16, lion_decode_avg8_bfloat16,
     lion_decode_avg8_bfloat16_stochastic},
    {lion_decode_avg16_float32, lion_decode_avg16_float16, lion_decode_avg16_bfloat16,
     lion_decode_avg16_bfloat16_stochastic}};

/// Numbers where a GPU could access them: the caller's, or a copy that is aligned.
class AccessibleNumbers {
 public:
  AccessibleNumbers(FloatType type, const void* numbers, size_t count) : bytes_(count * floatBytes(type)) {
    if (reinterpret_cast<uintptr_t>(numbers) % floatBytes(type) == 0) return;
    copy_.resize(bytes_ / sizeof(lanes::Quad) + 1);
    std::memcpy(copy_.data(), numbers, bytes_);
  }

  /// `numbers`: those of the constructor.
  template <typename Numbers>
  Numbers* address(Numbers* numbers) {
    return copy_.empty() ? numbers : copy_.data();
  }

  void writeBack(void* numbers) const {
    if (!copy_.empty()) std::memcpy(numbers, copy_.data(), bytes_);
  }

 private:
  size_t bytes_;
  std::vector<lanes::Quad> copy_;
};

/// A table of one tensor, and all of its words.
struct OneTensor {
  LionEntry entry;
  LionHyperparameters group;
  uint32_t first_tile = 0;

  [[nodiscard]] LionTable table() const { return {&first_tile, &entry, &group, 1}; }
  [[nodiscard]] LionRange range() const {
    return lionRangeOf({&entry, 1}, {&first_tile, 1}, entry.first_word, entry.first_word + wordsFor(entry.count));
  }
};

OneTensor oneTensor(const LionParameters& lion, void* parameters, size_t count) {
  return {{parameters, count, lion.rounding.first / kWordBits, 0}, {{}, lion.learning_rate, lion.weight_decay}};
}

LionStepArguments stepOf(const OneTensor& tensor, const LionParameters& lion) {
  return {tensor.table(), tensor.range(), nullptr, &lion.rounding.key, nullptr};
}

/// Only parameters of bfloat16 are rounded by chance.
LionStepTypes typesOf(const LionParameters& lion) {
  return {lion.type, lion.type == FloatType::kBFloat16 && lion.rounding.is_stochastic};
}

}  // namespace

void launch(LionEncodeTypes types, const LionEncodeArguments& arguments, size_t nblocks) {
  const auto& kernels = kEncodeKernels[arguments.positive == nullptr ? 0 : 1];
  run(kernels[indexOf(types.momentum)][indexOf(types.gradient)], arguments, nblocks);
}

void launch(LionStepTypes types, const LionVoteArguments& arguments, size_t nblocks) {
  run(kVoteKernels[arguments.nonnegative == nullptr ? 0 : 1][indexOf(types)], arguments, nblocks);
}

void launch(LionStepTypes types, const LionAvgArguments& arguments, size_t nblocks) {
  run(kAvgKernels[arguments.nplanes <= 8 ? 0 : 1][indexOf(types)], arguments, nblocks);
}

void encodeLion(const LionMomenta& lion, size_t count, Word* positive, Word* nonnegative) {
  AccessibleNumbers gradients(lion.gradient_type, lion.gradients, lion.gradients == nullptr ? 0 : count);
  AccessibleNumbers momenta(lion.momentum_type, lion.momenta, count);
  const LionGradients one_gradients{gradients.address(lion.gradients)};
  const OneTensor tensor{{momenta.address(lion.momenta), count, 0, 0}, {lion.betas, 0, 0}};
  launch(LionEncodeTypes{lion.gradient_type, lion.momentum_type},
         {tensor.table(), tensor.range(), &one_gradients, nullptr, positive, nonnegative}, kBlocks);
  momenta.writeBack(lion.momenta);
}

void decodeVoteLion(const LionParameters& lion, const Word* positive, const Word* nonnegative, size_t count) {
  AccessibleNumbers parameters(lion.type, lion.parameters, count);
  const OneTensor tensor = oneTensor(lion, parameters.address(lion.parameters), count);
  launch(typesOf(lion), LionVoteArguments{stepOf(tensor, lion), positive, nonnegative}, kBlocks);
  parameters.writeBack(lion.parameters);
}

void decodeAvgLion(const LionParameters& lion, Counts counts, const float* table, size_t count) {
  AccessibleNumbers parameters(lion.type, lion.parameters, count);
  const OneTensor tensor = oneTensor(lion, parameters.address(lion.parameters), count);
  const CompleteCounts complete(counts, wordsFor(count), restoreTop);
  const ConstPlanes planes = complete.planes();
  launch(typesOf(lion), LionAvgArguments{stepOf(tensor, lion), planes.words, planes.stride, planes.nplanes, table},
         kBlocks);
  parameters.writeBack(lion.parameters);
}

}  // namespace signccl::emulated
