// SPDX-License-Identifier: Apache-2.0
// The tensors of a Lion object as its steps see them: with their places among the signs of a step, the hyperparameters
// of the step, and what ranks compare of them.
#ifndef SIGNCCL_LION_STEP_TENSORS_H_
#define SIGNCCL_LION_STEP_TENSORS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lion/step_ends.h"
#include "lion/tensors.h"

namespace signccl {

/// b1, 1 - b1, b2 and 1 - b2 as steps use them.
LionBetas betasOf(const LionGroup& group);

class StepTensors {
 public:
  /// `options` must stay. Throws std::bad_alloc.
  explicit StepTensors(const LionOptions& options);

  /// [tensors], which stay where they are.
  [[nodiscard]] std::span<StepTensor> all() { return steps_; }
  [[nodiscard]] std::span<const StepTensor> all() const { return steps_; }

  /// Of the signs of all tensors.
  [[nodiscard]] std::size_t nwords() const { return nwords_; }

  /// [ngroups] those of the step that begins. Throws std::bad_alloc; the next step must set some then.
  void setHyperparameters(std::span<const LionGroup> groups);

  /// Throws signcclInvalidUsage if one of tensors [first, first + ntensors) is in the step already.
  void checkNotSubmitted(std::size_t first, std::size_t ntensors) const;

  /// Makes `segments` those of tensors [first, first + ntensors) in the step with this number. Where they have no
  /// elements, there is one more segment, without meaning: only messages tell a rank that another one skips the step.
  void segmentsOf(std::size_t first, std::size_t ntensors, std::uint64_t call, std::vector<Segment>& segments);

 private:
  /// Names of the ends of tensors of one group with the same types, for messages.
  struct Names {
    std::size_t group;
    FloatType gradient_type, momentum_type, parameter_type;
    std::string source, sink;
  };

  void nameEnds(std::span<const LionGroup> groups);
  Names& namesOf(const LionTensor& tensor);

  const LionOptions& options_;
  std::vector<StepTensor> steps_;
  std::size_t nwords_ = 0;
  std::vector<LionGroup> groups_;  ///< of the last step
  std::vector<Names> names_;
};

}  // namespace signccl

#endif  // SIGNCCL_LION_STEP_TENSORS_H_
