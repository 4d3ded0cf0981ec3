// SPDX-License-Identifier: Apache-2.0
#include "lion/step_ends.h"

#include <algorithm>

namespace signccl {
namespace {

/// The address of element `first` of a buffer.
template <typename Address>
Address* elementAt(Address* buffer, FloatType type, std::size_t first) {
  using Byte = std::conditional_t<std::is_const_v<Address>, const std::byte, std::byte>;
  return buffer == nullptr ? nullptr : static_cast<Byte*>(buffer) + first * floatBytes(type);
}

void fillPositive(std::size_t count, Word* positive, Word* nonnegative) {
  for (Word* const plane : {positive, nonnegative}) {
    if (plane == nullptr) continue;
    std::fill_n(plane, wordsFor(count), ~Word{0});
    const std::size_t rest = count % kWordBits;
    if (rest != 0) plane[count / kWordBits] = (Word{1} << rest) - 1;
  }
}

// The object of a source is a StepTensor that its owner lets the exchange write: momenta and kept signs.
StepTensor& stepOf(const Source& source) { return *static_cast<StepTensor*>(const_cast<void*>(source.object)); }
StepTensor& stepOf(const Sink& sink) { return *static_cast<StepTensor*>(sink.object); }

void encode(const Source& source, const Kernels& kernels, std::size_t first, std::size_t count, Word* positive,
            Word* nonnegative) {
  StepTensor& step = stepOf(source);
  switch (step.origin) {
    case SignOrigin::kGradients:
      return encodeStep(step, kernels, first, count, positive, nonnegative);
    case SignOrigin::kKept:
      return step.kept->give(step.first_word + first / kWordBits, wordsFor(count), positive, nonnegative);
    case SignOrigin::kNone:
      return fillPositive(count, positive, nonnegative);
  }
}

/// Parameters from element `first` on, which are about to change.
LionParameters parametersAt(StepTensor& step, std::size_t first) {
  step.may_have_changed.store(true, std::memory_order_relaxed);
  LionRounding rounding = step.rounding;
  rounding.first = step.first_word * kWordBits + first;
  return {step.tensor.parameter_type, elementAt(step.tensor.parameters, step.tensor.parameter_type, first),
          step.learning_rate, step.weight_decay, rounding};
}

void decodeVote(const Sink& sink, const Kernels& kernels, const Word* positive, const Word* nonnegative,
                std::size_t first, std::size_t count, Store /*store*/) {
  kernels.decodeVoteLion(parametersAt(stepOf(sink), first), positive, nonnegative, count);
}

void decodeAvg(const Sink& sink, const Kernels& kernels, Counts counts, const void* means, std::size_t first,
               std::size_t count, Store /*store*/) {
  kernels.decodeAvgLion(parametersAt(stepOf(sink), first), counts, static_cast<const float*>(means), count);
}

constexpr SourceKind kStepSource = {
    .encode = encode,
    .bytesTouched =
        [](const Source& source, std::size_t count) {
          const LionTensor& tensor = stepOf(source).tensor;
          return count * (floatBytes(tensor.gradient_type) + 2 * floatBytes(tensor.momentum_type));
        },
    .memory = [](const Source&) { return UserMemory{}; },
    .signature =
        [](const Source& source) {
          const StepTensor& step = stepOf(source);
          return EndSignature{step.source_digest, step.source_name->c_str()};
        },
};

constexpr SinkKind kStepSink = {
    .decodeVote = decodeVote,
    .decodeAvg = decodeAvg,
    .meanType = [](const Sink&) { return ElementType::kFloat32; },
    .bytesTouched = [](const Sink& sink,
                       std::size_t count) { return 2 * count * floatBytes(stepOf(sink).tensor.parameter_type); },
    .memory = [](const Sink&) { return UserMemory{}; },
    .signature =
        [](const Sink& sink) {
          const StepTensor& step = stepOf(sink);
          return EndSignature{step.sink_digest, step.sink_name->c_str()};
        },
};

constexpr SourceKind kPadSource = {
    .encode = [](const Source&, const Kernels&, std::size_t, std::size_t count, Word* positive,
                 Word* nonnegative) { fillPositive(count, positive, nonnegative); },
    .bytesTouched = [](const Source&, std::size_t) { return std::size_t{0}; },
    .memory = [](const Source&) { return UserMemory{}; },
    .signature = [](const Source&) { return EndSignature{0, "no elements"}; },
};

constexpr SinkKind kPadSink = {
    .decodeVote = [](const Sink&, const Kernels&, const Word*, const Word*, std::size_t, std::size_t, Store) {},
    .decodeAvg = [](const Sink&, const Kernels&, Counts, const void*, std::size_t, std::size_t, Store) {},
    .meanType = [](const Sink&) { return ElementType::kFloat32; },
    .bytesTouched = [](const Sink&, std::size_t) { return std::size_t{0}; },
    .memory = [](const Sink&) { return UserMemory{}; },
    .signature = [](const Sink&) { return EndSignature{0, "no elements"}; },
};

}  // namespace

void encodeStep(StepTensor& step, const Kernels& kernels, std::size_t first, std::size_t count, Word* positive,
                Word* nonnegative) {
  const LionTensor& tensor = step.tensor;
  const LionMomenta momenta{tensor.gradient_type, tensor.momentum_type,
                            elementAt(step.gradients, tensor.gradient_type, first),
                            elementAt(tensor.momenta, tensor.momentum_type, first), step.betas};
  kernels.encodeLion(momenta, count, positive, nonnegative);
  step.kept->keep(step.first_word + first / kWordBits, wordsFor(count), positive, nonnegative);
}

Source stepSource(const StepTensor& tensor) { return {&kStepSource, &tensor}; }
Sink stepSink(StepTensor& tensor) { return {&kStepSink, &tensor}; }
Source padSource() { return {&kPadSource, nullptr}; }
Sink padSink() { return {&kPadSink, nullptr}; }

}  // namespace signccl
