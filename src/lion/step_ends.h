// SPDX-License-Identifier: Apache-2.0
// What the exchange of a Lion step starts from and ends in: gradients and momenta, and parameters.
#ifndef SIGNCCL_LION_STEP_ENDS_H_
#define SIGNCCL_LION_STEP_ENDS_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "exec/ends.h"
#include "lion/kept_signs.h"
#include "lion/tensors.h"

namespace signccl {

/// Where the signs of a tensor come from.
enum class SignOrigin : std::uint8_t {
  kGradients,  ///< from its gradients and momenta; they are kept
  kKept,       ///< from the step that failed
  kNone,       ///< the step is skipped by this rank: momenta stay, and nobody looks at the signs
};

/// One tensor in a step.
struct StepTensor {
  LionTensor tensor;
  std::uint64_t first_word = 0;  ///< of its signs, among those of all tensors

  SignOrigin origin = SignOrigin::kGradients;
  bool is_submitted = false;
  const void* gradients = nullptr;  ///< null: zeros
  KeptSigns* kept = nullptr;
  LionBetas betas = {};
  float learning_rate = 0;
  float weight_decay = 0;
  LionRounding rounding = {};
  std::atomic<bool> may_have_changed = false;  ///< its parameters

  std::uint64_t source_digest = 0;
  std::uint64_t sink_digest = 0;
  const std::string* source_name = nullptr;
  const std::string* sink_name = nullptr;
};

/// Writes signs of elements [first, first + count) from gradients and momenta as Kernels::encodeLion() does, and keeps
/// them. `first` is a multiple of 64.
void encodeStep(StepTensor& tensor, const Kernels& kernels, std::size_t first, std::size_t count, Word* positive,
                Word* nonnegative);

/// The ends of a tensor, which must stay where it is until the exchange is over.
Source stepSource(const StepTensor& tensor);
Sink stepSink(StepTensor& tensor);

/// For a bucket of tensors without elements: one word of signs, whose result nobody reads. Without it there would be no
/// messages, and it is messages that tell a rank that another one skips the step.
inline constexpr std::size_t kPadElements = 1;
Source padSource();
Sink padSink();

}  // namespace signccl

#endif  // SIGNCCL_LION_STEP_ENDS_H_
