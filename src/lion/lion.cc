#include "lion/lion.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/failure.h"
#include "kernels/names.h"
#include "kernels/random_ties.h"

namespace signccl {
namespace {

/// As many words are encoded at once where a failed step is completed.
constexpr std::size_t kRestWords = 512;

/// The shortest text that is this number and no other.
std::string textOf(double number) {
  char text[32];
  const std::to_chars_result end = std::to_chars(std::begin(text), std::end(text), number);
  return {text, end.ptr};
}

LionBetas betasOf(const LionGroup& group) {
  return {static_cast<float>(group.beta1), static_cast<float>(1 - group.beta1), static_cast<float>(group.beta2),
          static_cast<float>(1 - group.beta2)};
}

std::uint64_t digestOf(std::initializer_list<std::uint64_t> numbers) {
  std::uint64_t digest = numbers.size();
  for (const std::uint64_t number : numbers) digest = mix(digest, number);
  return digest;
}

std::uint64_t bitsOf(double number) { return std::bit_cast<std::uint64_t>(number); }

/// The key of the random bits by which parameters are rounded in a step.
std::uint64_t roundingKey(std::uint64_t seed, std::uint64_t call) { return tieKey(tieKey(seed) + call); }

}  // namespace

Lion::Lion(LionOptions options) : options_(std::move(options)), steps_(options_.tensors.size()) {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    steps_[i].tensor = options_.tensors[i];
    steps_[i].first_word = nwords_;
    nwords_ += wordsFor(options_.tensors[i].count);
    namesOf(options_.tensors[i]);
  }
  kept_.emplace(nwords_, options_.rules.votes_per_rank == 2);
  groups_.reserve(options_.ngroups);
  buckets_.reserve(steps_.size());
  segments_.reserve(steps_.size() + 1);
}

/// The entry for the group and the types of a tensor, which is made by the constructor.
Lion::Names& Lion::namesOf(const LionTensor& tensor) {
  const auto found = std::ranges::find_if(names_, [&](const Names& names) {
    return names.group == tensor.group && names.gradient_type == tensor.gradient_type &&
           names.momentum_type == tensor.momentum_type && names.parameter_type == tensor.parameter_type;
  });
  if (found != names_.end()) return *found;
  return names_.emplace_back(
      Names{tensor.group, tensor.gradient_type, tensor.momentum_type, tensor.parameter_type, {}, {}});
}

void Lion::begin(Communicator& comm, std::span<const LionGroup> groups, bool skips, bool in_background) {
  if (isUnderWay()) {
    throw Error(signcclInvalidUsage, "a Lion step is under way: it ends with signcclLionFinish()");
  }
  SIGNCCL_ASSERT(groups.size() == options_.ngroups);
  setHyperparameters(groups);
  buckets_.clear();
  buckets_done_ = 0;
  error_ = nullptr;
  comm_ = &comm;
  skips_ = skips;
  in_background_ = in_background;
  was_skipped_ = false;
  kept_->clear();
  call_ = comm.takeCallNumber();
  const LionRounding rounding{options_.rounds_stochastically, roundingKey(options_.rounding_seed, call_), 0};
  for (StepTensor& step : steps_) {
    step.origin = skips ? SignOrigin::kNone : SignOrigin::kGradients;
    step.is_submitted = false;
    step.gradients = nullptr;
    step.kept = &*kept_;
    step.rounding = step.tensor.parameter_type == FloatType::kBFloat16 ? rounding : LionRounding{};
    step.may_have_changed.store(false, std::memory_order_relaxed);
  }
  state_ = State::kUnderWay;
}

void Lion::setHyperparameters(std::span<const LionGroup> groups) {
  if (std::ranges::equal(groups, groups_)) return;
  groups_.clear();  // so that a step which has no memory for the names leaves no half of this behind
  nameEnds(groups);
  groups_.assign(groups.begin(), groups.end());
  const std::uint64_t rounding =
      options_.rounds_stochastically ? digestOf({1, options_.rounding_seed}) : std::uint64_t{0};
  for (StepTensor& step : steps_) {
    const LionTensor& tensor = step.tensor;
    const LionGroup& group = groups_[tensor.group];
    step.betas = betasOf(group);
    step.learning_rate = static_cast<float>(group.learning_rate);
    step.weight_decay = static_cast<float>(group.weight_decay);
    step.source_digest =
        digestOf({static_cast<std::uint64_t>(tensor.gradient_type), static_cast<std::uint64_t>(tensor.momentum_type),
                  bitsOf(group.beta1), bitsOf(group.beta2)});
    step.sink_digest = digestOf({static_cast<std::uint64_t>(tensor.parameter_type), bitsOf(group.learning_rate),
                                 bitsOf(group.weight_decay), rounding});
    const Names& names = namesOf(tensor);
    step.source_name = &names.source;
    step.sink_name = &names.sink;
  }
}

void Lion::nameEnds(std::span<const LionGroup> groups) {
  const std::string rounding = options_.rounds_stochastically
                                   ? "stochastic with seed " + std::to_string(options_.rounding_seed)
                                   : std::string("to nearest");
  for (Names& names : names_) {
    const LionGroup& group = groups[names.group];
    names.source = std::string("the gradient type=") + floatTypeName(names.gradient_type) +
                   ", the momentum type=" + floatTypeName(names.momentum_type) + ", beta1=" + textOf(group.beta1) +
                   ", beta2=" + textOf(group.beta2);
    names.sink = std::string("the parameter type=") + floatTypeName(names.parameter_type) +
                 ", the learning rate=" + textOf(group.learning_rate) +
                 ", the weight decay=" + textOf(group.weight_decay) + ", rounding=" + rounding;
  }
}

void Lion::checkBucket(std::size_t first, std::size_t ntensors) const {
  if (!isUnderWay()) throw Error(signcclInvalidUsage, "no Lion step is under way: signcclLionBegin() begins one");
  for (std::size_t i = first; i < first + ntensors; ++i) {
    if (!steps_[i].is_submitted) continue;
    throw Error(signcclInvalidUsage, "tensor " + std::to_string(i) + " is in this step already");
  }
}

void Lion::submit(std::size_t first, std::span<const void* const> gradients) {
  checkBucket(first, gradients.size());
  if (gradients.empty()) return;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    steps_[first + i].is_submitted = true;
    steps_[first + i].gradients = gradients[i];
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
  segments_.clear();
  std::size_t nwords = 0;
  for (StepTensor& step : std::span(steps_).subspan(bucket.first, bucket.ntensors)) {
    segments_.push_back({.source = stepSource(step),
                         .sink = stepSink(step),
                         .count = step.tensor.count,
                         .call = call_,
                         .first_word = step.first_word});
    nwords += wordsFor(step.tensor.count);
  }
  if (nwords == 0) {
    segments_.push_back(
        {.source = padSource(), .sink = padSink(), .count = kPadElements, .call = call_, .first_word = nwords_});
  }
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
  if (!isUnderWay()) throw Error(signcclInvalidUsage, "no Lion step is under way: signcclLionBegin() begins one");
  const auto end = std::chrono::steady_clock::now() + longest.value_or(std::chrono::milliseconds(0));
  for (; buckets_done_ < buckets_.size(); ++buckets_done_) {
    Operation*& operation = buckets_[buckets_done_].operation;
    if (operation == nullptr) continue;
    if (longest) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
      if (!comm_->isDoneWithin(*operation, std::max(left, std::chrono::milliseconds(0)))) return std::nullopt;
    }
    try {
      if (comm_->wait(*operation)) was_skipped_ = true;
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
    for (StepTensor& step : std::span(steps_).subspan(bucket.first, bucket.ntensors)) {
      if (step.origin != SignOrigin::kGradients) continue;
      const std::size_t begin = step.first_word;
      kept_->forEachGap(begin, begin + wordsFor(step.tensor.count), [&](std::size_t from, std::size_t to) {
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
  for (std::size_t i = 0; i < steps_.size() && !are_parameters_restored; ++i) {
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
  for (StepTensor& step : steps_) {
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
