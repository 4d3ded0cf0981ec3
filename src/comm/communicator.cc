// SPDX-License-Identifier: Apache-2.0
#include "comm/communicator.h"

#include <atomic>
#include <string>
#include <unistd.h>
#include <utility>

#include <sys/types.h>

#include "base/error.h"
#include "base/log.h"
#include "comm/all_gather.h"
#include "exec/host_engine.h"
#include "signccl/signccl.h"

namespace signccl {
namespace {

/// Longest sleep while the others leave.
constexpr std::chrono::microseconds kLongestSleep{1000};
/// How often a rank checks whether the others of its process are there.
constexpr std::chrono::microseconds kMeetingStep{20};
/// How long the end of a rank waits for the end of the others.
constexpr std::chrono::milliseconds kLongestLinger{1000};

CostModel costModel(const Group& group, const CommOptions& options) {
  CostModel model = group.costModel();
  model.slice_words = options.slice_bytes / sizeof(Word);
  return model;
}

/// Null if the rank is not traced.
std::unique_ptr<TraceBuffer> traceOf(const Group& group, const CommOptions& options) {
  if (options.trace == nullptr) return nullptr;
  if (!group.isOfOneProcess()) options.trace->joinOtherProcesses(group.rank());
  return options.trace->addRank(group.rank(), options.name);
}

/// The thread that carries out non-blocking calls takes turns with the caller then, so that they overlap with nothing.
/// Said once in a process.
void warnIfCoresAreFew(const CoreShare& share, Rank rank) noexcept {
  static std::atomic<pid_t> warned = 0;
  if (share.hasCoreForSecondThread() || warned.exchange(getpid()) == getpid()) return;
  log(LogLevel::kWarn, Subsystem::kInit, rank, "non-blocking calls gain little here: the thread that carries them out ",
      "has no core of its own, since ", share.ranks, " rank(s) may use ", share.cores,
      " core(s), and two for each rank are needed. mpirun gives each rank one: start it with --bind-to none or ",
      "--map-by slot:PE=2");
}

/// At most `nbytes` of a text in UTF-8, without a part of a character at the end.
std::string_view beginning(std::string_view text, std::size_t nbytes) {
  if (text.size() <= nbytes) return text;
  const auto continues = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; };
  while (nbytes > 0 && continues(text[nbytes])) --nbytes;
  return text.substr(0, nbytes);
}

}  // namespace

Communicator::Communicator(std::unique_ptr<Group> group, const CommOptions& options)
    : options_(options),
      group_(std::move(group)),
      nranks_(group_->topology().nranks()),
      trace_(traceOf(*group_, options)),
      chooser_(group_->rank(), group_->topology(), costModel(*group_, options), options.algorithm, options.tuning),
      plans_(group_->rank(), group_->topology()),
      core_share_(group_->coreShare()),
      nthreads_(options.nthreads > 0 ? options.nthreads : core_share_.threadsPerRank()),
      meeting_(group_->meetingPlace()),
      engine_(std::make_unique<HostEngine>(*options.kernels, group_->makeTransport(),
                                           HostEngineOptions{.nthreads = nthreads_, .slice_bytes = options.slice_bytes},
                                           trace_.get())) {
  log(LogLevel::kInfo, Subsystem::kInit, rank(), "communicator '", options.name, "' of ", nranks(), " ranks on ",
      group_->topology().nnodes(), " node(s), kernels ", options.kernels->name, ", ", nthreads_, " thread(s)");
}

Communicator::~Communicator() {
  bool is_busy = false;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    is_busy = !queue_.empty();
    changed_.notify_all();
  }
  // The other ranks would read memory that goes away, or wait for messages that never come.
  if (is_busy) failAsRank(" destroyed its communicator while a collective was under way");
  engine_->wake();
  if (progress_thread_.joinable()) progress_thread_.join();
  group_->leave();
  const std::lock_guard driving(driver_);
  if (group_->failed()) failAll();
  linger();
  group_->awaitTold();
  log(LogLevel::kInfo, Subsystem::kDestroy, rank(), "communicator '", options_.name, "' destroyed");
}

/// Gives the others a short time to receive what this rank has sent before its transport is destroyed.
void Communicator::linger() noexcept {
  const auto longest = std::chrono::steady_clock::now() + kLongestLinger;
  try {
    while (!group_->allLeft() && !group_->failed() && std::chrono::steady_clock::now() < longest) {
      engine_->progress();
      engine_->wait(kLongestSleep);
    }
  } catch (const std::exception& error) {
    log(LogLevel::kInfo, Subsystem::kDestroy, rank(), "while the others leave: ", error.what());
  }
}

CountRules Communicator::countRules(const ExchangeRules& rules) const {
  const bool has_ties = nranks() * rules.votes_per_rank % 2 == 0;
  return {rules.op == SignOp::kVote ? SignOp::kVote : SignOp::kAvg, nranks(), rules.votes_per_rank,
          rules.op == SignOp::kVote && rules.tie == TieRule::kZero && has_ties};
}

void Communicator::awaitRanksOfProcess(std::uint64_t exchange) {
  if (!meeting_.meeting) return;
  const Deadline end = deadline();
  while (!meeting_.meeting->haveAllArrived(exchange)) {
    if (group_->failed()) throwFailure();
    if (std::chrono::steady_clock::now() >= end) {
      throw Error(signcclTimeout, "rank " + std::to_string(rank()) + " waited " +
                                      std::to_string(options_.timeout.count()) +
                                      " ms for the other ranks of its process to make the call of exchange number " +
                                      std::to_string(exchange));
    }
    std::this_thread::sleep_for(kMeetingStep);
  }
}

Operation& Communicator::submit(Submission submission) {
  const ExchangeRules& rules = submission.rules;
  const std::span<const Segment> segments = submission.segments;
  SIGNCCL_ASSERT(rules.op != SignOp::kSum || segments.size() <= kMaxSumSegments);
  const std::lock_guard lock(mutex_);
  throwIfUnusable();
  if (submission.in_background && !progress_thread_.joinable()) {
    warnIfCoresAreFew(core_share_, rank());
    progress_thread_ = std::thread([this] { progressLoop(); });
  }
  Operation& operation = firstUnused(submission.holders);
  operation.batch.clear();
  operation.batch.exchange = next_exchange_;
  operation.batch.tie = rules.tie;
  operation.batch.vetoes = submission.vetoes;
  operation.batch.is_sum = rules.op == SignOp::kSum;
  operation.batch.discards_misfits = rules.discards_misfits;
  operation.batch.rules = countRules(rules);
  operation.signature.op = rules.op;
  operation.signature.votes_per_rank = rules.votes_per_rank;
  operation.signature.tie = rules.tie;
  operation.signature.carrier = submission.is_capture ? Carrier::kNcclGraph
                                : submission.outside  ? Carrier::kNccl
                                                      : Carrier::kTransport;
  operation.signature.first_tensor = submission.first_tensor;
  operation.signature.calls.resize(segments.size());
  for (std::size_t i = 0; i < segments.size(); ++i) {
    assignSignature(operation.signature.calls[i], segments[i]);
    operation.batch.add(segments[i]);
  }
  operation.batch.digest = operation.signature.digest();
  operation.batch.ends = submission.ends.get();
  operation.in_background = submission.in_background;
  operation.started = false;
  operation.announced = false;
  operation.deadline.reset();
  operation.done.store(false, std::memory_order_relaxed);
  operation.has_failed = false;
  operation.notes = {};
  queue_.push_back(&operation);
  // Nothing below throws.
  if (!submission.ends) arrive(next_exchange_);
  operation.ends = std::move(submission.ends);
  operation.outside = std::move(submission.outside);
  operation.holders.store(submission.holders, std::memory_order_relaxed);
  if (&operation != &usual_) unused_ = operation.next_unused;
  ++next_exchange_;
  front_.store(queue_.front(), std::memory_order_release);
  if (submission.in_background) changed_.notify_all();
  return operation;
}

Operation& Communicator::submitCall(const ExchangeRules& rules, Segment& segment, bool in_background) {
  segment.call = nextCallNumber();
  Operation& operation = submit({.rules = rules, .segments = {&segment, 1}, .in_background = in_background});
  takeCallNumber();
  return operation;
}

/// An operation without a holder: usual_, or the first of the list, where it stays. An operation that will have no
/// holder is never usual_, because usual_ is taken to be free when it has none.
Operation& Communicator::firstUnused(int holders) {
  if (holders > 0 && usual_.holders.load(std::memory_order_acquire) == 0) return usual_;
  if (unused_ == nullptr) unused_ = released_.exchange(nullptr, std::memory_order_acquire);
  if (unused_ == nullptr) unused_ = operations_.emplace_back(std::make_unique<Operation>()).get();
  return *unused_;
}

void Communicator::finalize() {
  finalizing_.store(true, std::memory_order_relaxed);
  while (true) {
    Operation* last = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty()) break;
      last = queue_.back();
      ++last->holders;
    }
    wait(*last);
  }
  const std::lock_guard lock(mutex_);
  finalized_ = true;
}

void Communicator::abort(std::string_view reason) noexcept {
  failAsRank(" aborted the communicator", beginning(reason, SIGNCCL_ABORT_REASON_MAX_BYTES));
}

/// Makes the group fail because of what this rank does, and `why`, if there is something to say.
void Communicator::failAsRank(std::string_view what, std::string_view why) noexcept {
  group_->fail(failureOr(signcclRemoteError, "a rank left", [&] {
    std::string message = rankName(rank()).append(what);
    if (!why.empty()) message.append(": ").append(why);
    return Failure{signcclRemoteError, std::move(message), Failure::Scope::kGroup, {rank()}};
  }));
  group_->awaitTold();
}

signcclResult_t Communicator::asyncError() const {
  if (group_->failed()) return group_->failure().code;
  const std::lock_guard lock(mutex_);
  return queue_.empty() ? signcclSuccess : signcclInProgress;
}

std::vector<std::string> Communicator::allGather(std::string part) {
  {
    std::unique_lock lock(mutex_);
    awaitGatherings(lock);
    throwIfUnusable();
  }
  return signccl::allGather(*group_, std::move(part), deadline());
}

void Communicator::postAllGather(std::string part) {
  {
    std::unique_lock lock(mutex_);
    awaitGatherings(lock);
    throwIfUnusable();
  }
  group_->postAllGather(std::move(part));
}

/// The group takes part in one split or all-gather at a time.
void Communicator::awaitGatherings(std::unique_lock<std::mutex>& lock) {
  changed_.wait(lock, [&] { return !is_duplicating_; });
}

void Communicator::postSplit(int color, int key, const CommOptions& options) {
  std::unique_lock lock(mutex_);
  awaitGatherings(lock);
  throwIfUnusable();
  if (!queue_.empty()) {
    throw Error(signcclInvalidUsage, std::to_string(queue_.size()) + " collective(s) are under way on rank " +
                                         std::to_string(rank()) + "; a split needs none");
  }
  split_options_ = options;
  group_->postSplit(color, key, options.shared());
}

std::unique_ptr<Communicator> Communicator::awaitSplit() {
  std::unique_ptr<Group> group = group_->awaitSplit(deadline());
  return group ? std::make_unique<Communicator>(std::move(group), *split_options_) : nullptr;
}

void Communicator::postDuplicate() {
  const std::lock_guard lock(mutex_);
  throwIfUnusable();
  group_->postSplit(/*color=*/0, /*key=*/rank(), options_.shared());
  is_duplicating_ = true;
}

std::unique_ptr<Communicator> Communicator::awaitDuplicate(std::string name) {
  std::unique_ptr<Group> group;
  std::exception_ptr error;
  try {
    group_->joinSplit(deadline());
    group = group_->awaitSplit(deadline());
  } catch (...) {
    error = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    is_duplicating_ = false;
    changed_.notify_all();
  }
  if (error) std::rethrow_exception(error);
  CommOptions options = options_;
  options.name = std::move(name);
  return std::make_unique<Communicator>(std::move(group), options);
}

void CommCounters::add(const CommCounters& other) {
  engine.messages.add(other.engine.messages);
  engine.scratch_bytes += other.engine.scratch_bytes;
  collectives += other.collectives;
  exchanges += other.exchanges;
  if (other.last_algorithm) last_algorithm = other.last_algorithm;
}

CommCounters Communicator::counters() const {
  const std::lock_guard lock(mutex_);
  CommCounters counters = counters_;
  counters.engine.messages.add(outside_messages_);
  const int last_algorithm = last_algorithm_.load(std::memory_order_relaxed);
  if (last_algorithm >= 0) counters.last_algorithm = static_cast<Algorithm>(last_algorithm);
  return counters;
}

void Communicator::requireUsable() const {
  const std::lock_guard lock(mutex_);
  throwIfUnusable();
}

void Communicator::throwIfUnusable() const {
  if (group_->failed()) {
    group_->awaitTold();
    const Failure failure = group_->failure();
    throw Error(failure.code, "the communicator has failed: " + failure.message);
  }
  if (finalized_) throw Error(signcclInvalidUsage, "the communicator is finalized; it takes no more collectives");
}

void Communicator::throwFailure() const { throw FailureError(group_->failure()); }

}  // namespace signccl
