// SPDX-License-Identifier: Apache-2.0
#include "lion/lion_kernels.h"

#include <algorithm>
#include <utility>

#include "exec/external_ends.h"
#include "exec/mean_table.h"
#include "kernels/device/device_kernels.h"
#include "kernels/lanes/group.h"
#include "lion/step_tensors.h"

namespace signccl {
namespace {

Word* wordsAt(CudaDevicePointer address) { return reinterpret_cast<Word*>(address); }

std::size_t tilesOf(const LionRange& range) { return range.end_tile - range.begin_tile; }

/// Words of the step that are words of a batch. Its tensors follow each other in both; one without elements may come
/// before words that belong to none, so the last one says where they are.
LionRange rangeOf(const TensorTable& table, const Batch& batch, WordRange words) {
  const Segment& last = batch.segments.back();
  const std::uint64_t first = last.first_word - last.word_begin;
  // What follows the end of the batch is padding here, and in the step it may be signs of another batch.
  return table.rangeOf(first + words.begin, first + std::min(words.begin + words.size, batch.nwords));
}

/// A kernel that gives each of `count` items to a lane.
std::size_t warpsFor(std::size_t count) { return (count + lanes::kLanes - 1) / lanes::kLanes; }

}  // namespace

LionKernels::LionKernels(std::shared_ptr<StreamDevice> device, std::span<const StepTensor> tensors,
                         const LionOptions& options)
    : device_(std::move(device)),
      tensors_(std::make_unique<DeviceTensors>(device_->device(), tensors, options.ngroups)),
      rounds_stochastically_(options.rounds_stochastically) {
  begin_.rounding_seed = options.rounding_seed;
  for (const TensorTable& table : tensors_->momenta()) {
    gradients_.push_back({std::vector<LionGradients>(table.tensors.size()), {}});
  }
}

void LionKernels::beginStep(const LionStepInputs& step) {
  groups_.clear();
  for (const LionGroup& group : step.groups) {
    groups_.push_back(
        {betasOf(group), static_cast<float>(group.learning_rate), static_cast<float>(group.weight_decay)});
  }
  begin_.learning_rates = step.on_device.learning_rates;
  begin_.weight_decays = step.on_device.weight_decays;
  begin_.found_inf = reinterpret_cast<const std::uint32_t*>(step.on_device.found_inf);
  begin_.state = tensors_->state();
  begin_.host_skips = tensors_->hostSkipsAddress();
  begin_.call = step.call;
  begin_.skips = step.skips ? 1 : 0;
  is_replayed_ = step.is_replayed;
  has_begun_ = false;
}

void LionKernels::setGradients(std::size_t first, std::span<const void* const> gradients) {
  first_tensor_ = first;
  end_tensor_ = first + gradients.size();
  for (std::size_t t = 0; t < gradients_.size(); ++t) {
    const std::vector<std::size_t>& tensors = tensors_->momenta()[t].tensors;
    for (auto at = std::ranges::lower_bound(tensors, first); at != tensors.end() && *at < end_tensor_; ++at) {
      gradients_[t].wanted[static_cast<std::size_t>(at - tensors.begin())] = {gradients[*at - first]};
    }
  }
}

void LionKernels::prepare(const Batch& batch, CudaStream stream) {
  if (!is_uploaded_) tensors_->upload(stream);
  is_uploaded_ = true;
  if (batch.rules.op == SignOp::kAvg && !means_) {
    auto fresh = std::make_unique<DeviceTable>(device_->device(), MeanTable(ElementType::kFloat32, batch.rules));
    fresh->upload(stream);
    means_ = std::move(fresh);
  }
  if (!has_begun_) enqueueBegin(stream);
  has_begun_ = true;
  for (std::size_t t = 0; t < gradients_.size(); ++t) {
    enqueueGradients(tensors_->momenta()[t], gradients_[t], stream);
  }
}

void LionKernels::enqueueBegin(CudaStream stream) {
  LionBeginArguments arguments = begin_;
  for (std::size_t first = 0; first < groups_.size(); first += kLionGroupsAtOnce) {
    const std::size_t count = std::min(kLionGroupsAtOnce, groups_.size() - first);
    arguments.groups = tensors_->groups() + first;
    if (begin_.learning_rates != nullptr) arguments.learning_rates = begin_.learning_rates + first;
    if (begin_.weight_decays != nullptr) arguments.weight_decays = begin_.weight_decays + first;
    arguments.ngroups = static_cast<std::uint32_t>(count);
    const bool is_last = first + count == groups_.size();
    arguments.replays = is_replayed_ && is_last ? tensors_->replaysAddress() : nullptr;
    std::copy_n(groups_.begin() + static_cast<std::ptrdiff_t>(first), count, arguments.values);
    device_->launch(DeviceKernel::lion_begin, arguments, warpsFor(count), stream);
  }
}

/// Of the tensors of the next batch. Nothing where they lie where those of the last step did.
void LionKernels::enqueueGradients(const TensorTable& table, Gradients& gradients, CudaStream stream) const {
  const auto place_of = [&](std::size_t tensor) {
    return static_cast<std::size_t>(std::ranges::lower_bound(table.tensors, tensor) - table.tensors.begin());
  };
  const bool is_first = gradients.written.empty();
  if (is_first) gradients.written.resize(gradients.wanted.size());
  const std::size_t end = is_first ? gradients.wanted.size() : place_of(end_tensor_);
  for (std::size_t first = is_first ? 0 : place_of(first_tensor_); first < end; first += kLionGradientsAtOnce) {
    const std::size_t count = std::min(kLionGradientsAtOnce, end - first);
    const auto wanted = std::span(gradients.wanted).subspan(first, count);
    const auto written = std::span(gradients.written).subspan(first, count);
    if (!is_first && std::ranges::equal(wanted, written, {}, &LionGradients::address, &LionGradients::address))
      continue;
    LionGradientsArguments arguments{table.gradients + first, count, {}};
    std::ranges::copy(wanted, arguments.values);
    device_->launch(DeviceKernel::lion_gradients, arguments, warpsFor(count), stream);
    std::ranges::copy(wanted, written.begin());
  }
}

void LionKernels::encode(const Batch& batch, WordRange words, CudaDevicePointer planes, CudaStream stream) const {
  const bool is_ternary = batch.rules.votes_per_rank == 2;
  Word* const positive = is_ternary ? wordsAt(planes) : nullptr;
  Word* const nonnegative = wordsAt(planes) + (is_ternary ? words.size : 0);
  for (const TensorTable& table : tensors_->momenta()) {
    const LionRange range = rangeOf(table, batch, words);
    if (tilesOf(range) == 0) continue;
    const LionEncodeArguments arguments{table.on_device,           range,    table.gradients,
                                        &tensors_->state()->skips, positive, nonnegative};
    device_->launch(lionEncodeKernel(table.gradient_type, table.type, is_ternary), arguments, tilesOf(range), stream);
  }
}

void LionKernels::decode(const Batch& batch, WordRange words, CudaDevicePointer planes, const DecodeGuards& guards,
                         CudaStream stream) const {
  const CountRules& rules = batch.rules;
  const Word* const first = wordsAt(planes);
  for (const TensorTable& table : tensors_->parameters()) {
    const LionRange range = rangeOf(table, batch, words);
    if (tilesOf(range) == 0) continue;
    const bool is_stochastic = isStochastic(table.type);
    const LionStepArguments step{table.on_device, range, guards.status, &tensors_->state()->rounding_key, guards.veto};
    if (rules.op == SignOp::kAvg) {
      const int nplanes = externalResultPlanes(rules);
      const LionAvgArguments arguments{step, first, words.size, nplanes, static_cast<const float*>(means_->pointer())};
      device_->launch(lionAvgKernel(table.type, is_stochastic, nplanes), arguments, tilesOf(range), stream);
    } else {
      const LionVoteArguments arguments{step, first, rules.ternary_result ? first + words.size : nullptr};
      device_->launch(lionVoteKernel(table.type, is_stochastic, rules.ternary_result), arguments, tilesOf(range),
                      stream);
    }
  }
}

}  // namespace signccl
