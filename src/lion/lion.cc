// SPDX-License-Identifier: Apache-2.0
#include "lion/lion.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/failure.h"
#include "exec/notes.h"
#include "kernels/random_ties.h"

namespace signccl {
namespace {

/// As many words are encoded at once where a failed step is completed.
constexpr std::size_t kRestWords = 512;

}  // namespace

Lion::Lion(LionOptions options)
    : options_(std::move(options)), tensors_(options_), kept_(tensors_.nwords(), options_.rules.votes_per_rank == 2) {
  buckets_.reserve(ntensors());
  segments_.reserve(ntensors() + 1);
}

void Lion::begin(Communicator& comm, std::span<const LionGroup> groups, bool skips, bool in_background) {
  if (isUnderWay()) {
    throw Error(signcclInvalidUsage, "a Lion step is under way: it ends with signcclLionFinish()");
  }
  SIGNCCL_ASSERT(groups.size() == options_.ngroups);
  tensors_.setHyperparameters(groups);
  buckets_.clear();
  buckets_done_ = 0;
  error_ = nullptr;
  comm_ = &comm;
  skips_ = skips;
  in_background_ = in_background;
  was_skipped_ = false;
  kept_.clear();
  call_ = comm.takeCallNumber();
  const LionRounding rounding{options_.rounds_stochastically, lionRoundingKey(options_.rounding_seed, call_), 0};
  for (StepTensor& step : tensors_.all()) {
    step.origin = skips ? SignOrigin::kNone : SignOrigin::kGradients;
    step.is_submitted = false;
    step.gradients = nullptr;
    step.kept = &kept_;
    step.rounding = step.tensor.parameter_type == FloatType::kBFloat16 ? rounding : LionRounding{};
    step.may_have_changed.store(false, std::memory_order_relaxed);
  }
  state_ = State::kUnderWay;
}

void Lion::checkUnderWay() const {
  if (!isUnderWay()) throw Error(signcclInvalidUsage, "no Lion step is under way: signcclLionBegin() begins one");
}

void Lion::submit(std::size_t first, std::span<const void* const> gradients) {
  checkUnderWay();
  tensors_.checkNotSubmitted(first, gradients.size());
  if (gradients.empty()) return;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    StepTensor& step = tensors_.all()[first + i];
    step.is_submitted = true;
    step.gradients = gradients[i];
  }
  Bucket& bucket = buckets_.emplace_back(Bucket{first, gradients.size(), nullptr});
  try {
    queue(bucket);
  } catch (...) {
    noteFailure(std::current_exception());
    encodeRest();
    throw;
  }
}

/// Queues the exchange of a bucket.
void Lion::queue(Bucket& bucket) {
  tensors_.segmentsOf(bucket.first, bucket.ntensors, call_, segments_);
  bucket.operation = &comm_->submit({.rules = options_.rules,
                                     .segments = segments_,
                                     .in_background = in_background_,
                                     .first_tensor = static_cast<std::int64_t>(bucket.first),
                                     .vetoes = skips_});
}

/// Notes the first error of the step. The other ranks wait for the votes of this one, which are not coming.
void Lion::noteFailure(const std::exception_ptr& error) {
  if (!error_) error_ = error;
  const Failure failure = failureOf(error);
  if (failure.code == signcclSystemError) comm_->fail(failure);
}

std::optional<bool> Lion::finish(std::optional<std::chrono::milliseconds> longest) {
  checkUnderWay();
  const auto end = std::chrono::steady_clock::now() + longest.value_or(std::chrono::milliseconds(0));
  for (; buckets_done_ < buckets_.size(); ++buckets_done_) {
    Operation*& operation = buckets_[buckets_done_].operation;
    if (operation == nullptr) continue;
    if (longest) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
      if (!comm_->isDoneWithin(*operation, std::max(left, std::chrono::milliseconds(0)))) return std::nullopt;
    }
    try {
      if ((comm_->wait(*operation).all & kVetoNote) != 0) was_skipped_ = true;
    } catch (...) {
      noteFailure(std::current_exception());
    }
    operation = nullptr;
  }
  if (error_) endFailed();
  state_ = State::kIdle;
  return was_skipped_;
}

void Lion::endFailed() {
  encodeRest();
  state_ = State::kFailed;
  std::rethrow_exception(error_);
}

/// Encodes what the exchanges that failed have not come to. Those that go on encode their own.
void Lion::encodeRest() {
  const Kernels& kernels = *comm_->options().kernels;
  Word positive[kRestWords];
  Word nonnegative[kRestWords];
  for (const Bucket& bucket : buckets_) {
    if (bucket.operation != nullptr) continue;
    for (StepTensor& step : tensors_.all().subspan(bucket.first, bucket.ntensors)) {
      if (step.origin != SignOrigin::kGradients) continue;
      const std::size_t begin = step.first_word;
      kept_.forEachGap(begin, begin + wordsFor(step.tensor.count), [&](std::size_t from, std::size_t to) {
        for (std::size_t word = from; word < to; word += kRestWords) {
          const std::size_t first = (word - begin) * kWordBits;
          const std::size_t last = std::min((std::min(word + kRestWords, to) - begin) * kWordBits, step.tensor.count);
          encodeStep(step, kernels, first, last - first, options_.rules.votes_per_rank == 2 ? positive : nullptr,
                     nonnegative);
        }
      });
    }
  }
}

void Lion::checkRetry(bool are_parameters_restored) const {
  if (state_ != State::kFailed) {
    throw Error(signcclInvalidUsage, isUnderWay()
                                         ? "a Lion step is under way: it ends with signcclLionFinish()"
                                         : "the last Lion step did not fail: there is nothing to exchange again");
  }
  for (std::size_t i = 0; i < ntensors() && !are_parameters_restored; ++i) {
    if (!mayHaveChanged(i)) continue;
    throw Error(signcclInvalidUsage, "the failed step may have changed the parameters of tensor " + std::to_string(i) +
                                         ": restore those of before the step, and say so");
  }
}

bool Lion::retry(Communicator& comm) {
  SIGNCCL_ASSERT(state_ == State::kFailed);
  comm_ = &comm;
  comm.setNextCallNumber(call_ + 1);
  in_background_ = false;
  was_skipped_ = false;
  error_ = nullptr;
  buckets_done_ = 0;
  for (StepTensor& step : tensors_.all()) {
    if (step.origin == SignOrigin::kGradients) step.origin = SignOrigin::kKept;
    step.may_have_changed.store(false, std::memory_order_relaxed);
  }
  state_ = State::kUnderWay;
  for (Bucket& bucket : buckets_) {
    try {
      queue(bucket);
    } catch (...) {
      noteFailure(std::current_exception());
    }
  }
  return *finish(std::nullopt);
}

void Lion::cancel() noexcept {
  if (!isUnderWay()) return;
  try {
    finish(std::nullopt);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): nobody is left to hear of it
  }
}

}  // namespace signccl
