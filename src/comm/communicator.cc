#include "comm/communicator.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"

namespace signccl {
namespace {

/// A thread that waits turns without a pause first, which takes about 20 us, unless ranks share cores: then the one it
/// waits for may need this one. Then it yields between turns, which costs up to a microsecond at the next message, and
/// at last it sleeps, which costs tens of them.
constexpr int kTurnsBeforeYield = 200;
constexpr int kTurnsBeforeSleep = kTurnsBeforeYield + 2000;
/// Turns of the executor for one look at what else may end the wait: at most so many, and so many of them in vain. A
/// thread that is to yield does so after the first in vain.
constexpr int kTurnsPerLook = 64;
constexpr int kIdleTurnsPerLook = 8;
/// Looks in vain for one at the clock, which takes as long as half a turn.
constexpr int kLooksPerClock = 16;
/// Longest sleep: how late a deadline or a failure may be noticed.
constexpr std::chrono::microseconds kLongestSleep{1000};
/// How long the end of a rank waits for the end of the others.
constexpr std::chrono::milliseconds kLongestLinger{1000};

CostModel costModel(const Group& group, const CommOptions& options) {
  CostModel model = group.costModel();
  model.slice_words = options.slice_bytes / sizeof(Word);
  return model;
}

}  // namespace

Communicator::Communicator(std::unique_ptr<Group> group, const CommOptions& options)
    : options_(options),
      group_(std::move(group)),
      transport_(group_->makeTransport()),
      trace_(options.trace == nullptr ? nullptr : options.trace->addRank(group_->rank(), options.name)),
      planner_(group_->rank(), group_->topology(), costModel(*group_, options), options.algorithm, options.tuning),
      core_share_(group_->coreShare()),
      nthreads_(options.nthreads > 0 ? options.nthreads : core_share_.threadsPerRank()),
      executor_(*options.kernels, *transport_, {.nthreads = nthreads_, .slice_bytes = options.slice_bytes},
                trace_.get()) {
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
  if (is_busy) {
    group_->fail({signcclRemoteError,
                  "rank " + std::to_string(rank()) + " destroyed its communicator while a collective was under way",
                  Failure::Scope::kGroup,
                  {rank()}});
  }
  transport_->wake();
  if (progress_thread_.joinable()) progress_thread_.join();
  group_->leave();
  const std::lock_guard driving(driver_);
  if (group_->failed()) failAll(group_->failure());
  linger();
  log(LogLevel::kInfo, Subsystem::kDestroy, rank(), "communicator '", options_.name, "' destroyed");
}

/// Lets the others take what this rank has sent before its transport goes away, as long as that is likely to be short.
void Communicator::linger() noexcept {
  const auto longest = std::chrono::steady_clock::now() + kLongestLinger;
  try {
    while (!group_->allLeft() && !group_->failed() && std::chrono::steady_clock::now() < longest) {
      std::vector<Request*> none;
      transport_->progress(none);
      transport_->wait(kLongestSleep);
    }
  } catch (const Error& error) {
    log(LogLevel::kInfo, Subsystem::kDestroy, rank(), "while the others leave: ", error.what());
  }
}

Operation& Communicator::submit(const ExchangeRules& rules, std::span<const Segment> segments, bool in_background,
                                int holders) {
  const std::lock_guard lock(mutex_);
  throwIfUnusable();
  if (in_background && !progress_thread_.joinable()) progress_thread_ = std::thread([this] { progressLoop(); });
  Operation& operation = unusedOperation();
  const bool has_ties = nranks() * rules.votes_per_rank % 2 == 0;
  operation.batch.clear();
  operation.batch.exchange = next_exchange_++;
  operation.batch.tie = rules.tie;
  operation.batch.rules = {rules.op, nranks(), rules.votes_per_rank,
                           rules.op == SignOp::kVote && rules.tie == TieRule::kZero && has_ties};
  operation.signature.op = rules.op;
  operation.signature.votes_per_rank = rules.votes_per_rank;
  operation.signature.tie = rules.tie;
  operation.signature.calls.clear();
  for (Segment segment : segments) {
    operation.signature.calls.push_back({segment.count, segment.sendtype, segment.recvtype});
    segment.call = next_call_++;
    operation.batch.add(segment);
  }
  operation.batch.digest = operation.signature.digest();
  operation.in_background = in_background;
  operation.holders.store(holders, std::memory_order_relaxed);
  operation.started = false;
  operation.announced = false;
  operation.deadline.reset();
  operation.done.store(false, std::memory_order_relaxed);
  operation.outcome = {};
  queue_.push_back(&operation);
  front_.store(queue_.front(), std::memory_order_release);
  if (in_background) changed_.notify_all();
  return operation;
}

Operation& Communicator::unusedOperation() {
  if (unused_ == nullptr) unused_ = released_.exchange(nullptr, std::memory_order_acquire);
  if (unused_ == nullptr) return *operations_.emplace_back(std::make_unique<Operation>());
  Operation& operation = *unused_;
  unused_ = operation.next_unused;
  return operation;
}

void Communicator::wait(Operation& operation) {
  while (!operation.done.load(std::memory_order_acquire)) {
    if (const auto driving = tryDrive()) {
      driveUntil(operation);
    } else {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kLongestSleep, [&] { return operation.done.load(std::memory_order_acquire); });
    }
  }
  release(operation);
}

bool Communicator::test(Operation& operation) {
  if (!operation.done.load(std::memory_order_acquire)) return false;
  release(operation);
  return true;
}

/// Takes no lock: a blocking call is short of time here.
void Communicator::release(Operation& operation) {
  Failure outcome;
  if (operation.outcome.code != signcclSuccess) outcome = operation.outcome;
  // Nobody becomes a holder of an operation that is done, so a single one is the last.
  const bool is_last = operation.holders.load(std::memory_order_acquire) == 1 ||
                       operation.holders.fetch_sub(1, std::memory_order_acq_rel) == 1;
  if (is_last) {
    operation.next_unused = released_.load(std::memory_order_relaxed);
    while (!released_.compare_exchange_weak(operation.next_unused, &operation, std::memory_order_release,
                                            std::memory_order_relaxed)) {
    }
  }
  if (outcome.code != signcclSuccess) throw Error(outcome.code, outcome.message);
}

bool Communicator::step() {
  const auto driving = tryDrive();
  return driving && driveOnce();
}

void Communicator::driveUntil(const Operation& operation) {
  const int first_turn = core_share_.hasOwnCore() ? 0 : kTurnsBeforeYield;
  int idle_turns = first_turn;
  while (!operation.done.load(std::memory_order_acquire)) {
    if (driveOnce()) {
      idle_turns = first_turn;
    } else if (++idle_turns >= kTurnsBeforeSleep) {
      transport_->wait(kLongestSleep);
    } else if (idle_turns >= kTurnsBeforeYield) {
      std::this_thread::yield();
    }
  }
}

bool Communicator::driveOnce() {
  Operation* const operation = front_.load(std::memory_order_acquire);
  if (operation == nullptr) return false;
  try {
    if (group_->failed()) {
      throw FailureError(group_->failure());
    }
    if (!operation->started) begin(*operation);
    if (advance(*operation)) return true;
    if (!operation->announced) announce(*operation);
    if (++idle_looks_ % kLooksPerClock == 0) checkDeadline(*operation);
    return false;
  } catch (const FailureError& error) {
    group_->fail(error.failure());
  } catch (const PeerError& error) {
    group_->fail({error.code(), error.what(), Failure::Scope::kGroup, {error.peer()}});
  } catch (const Error& error) {
    group_->fail({error.code(), error.what()});
  } catch (const std::exception& error) {
    group_->fail({signcclSystemError, "rank " + std::to_string(rank()) + ": " + error.what()});
  }
  failAll(group_->failure());
  return true;
}

void Communicator::begin(Operation& operation) {
  operation.started = true;
  const Batch& batch = operation.batch;
  log(LogLevel::kInfo, Subsystem::kColl, rank(), batch.rules.op == SignOp::kVote ? "vote" : "avg", " exchange ",
      batch.exchange, ": ", batch.segments.size(), " buffer(s), ", batch.nwords, " words");
  const bool is_empty = batch.nwords == 0;
  group_->begin(batch.exchange, operation.signature, is_empty);
  operation.announced = is_empty;
  if (is_empty) return;
  const Algorithm algorithm = planner_.choose(batch.rules, batch.nwords);
  executor_.start(planner_.plan(algorithm, batch.rules), batch);
  last_algorithm_.store(algorithm, std::memory_order_relaxed);
}

/// Most exchanges of a few elements end before anybody need know of them.
void Communicator::announce(Operation& operation) {
  operation.announced = true;
  group_->announce(operation.batch.exchange, operation.signature);
}

/// True if anything moved.
bool Communicator::turnExecutor() {
  int idle_turns = core_share_.hasOwnCore() ? kIdleTurnsPerLook : 1;
  bool moved = false;
  for (int turn = 0; turn < kTurnsPerLook && idle_turns > 0 && !executor_.finished(); ++turn) {
    if (executor_.progress()) {
      moved = true;
    } else {
      --idle_turns;
    }
  }
  return moved;
}

/// True if anything moved.
bool Communicator::advance(Operation& operation) {
  const bool is_empty = operation.batch.nwords == 0;
  const bool moved = !is_empty && turnExecutor();
  if (!executor_.finished()) return moved;
  // No votes come with an empty exchange, so it is the announcements that say that all ranks agree.
  if (is_empty && !group_->allAnnounced(operation.batch.exchange)) return false;
  complete(operation);
  return true;
}

void Communicator::checkDeadline(Operation& operation) const {
  // Set at the first wait: an exchange that never waits needs no clock.
  if (!operation.deadline) operation.deadline = deadline();
  if (std::chrono::steady_clock::now() < *operation.deadline) return;
  // With most algorithms everybody waits for a message that depends on a rank that is late, so who did not even
  // announce the exchange says more than who owes a message.
  std::vector<Rank> awaited = group_->notAnnounced(operation.batch.exchange);
  if (awaited.empty()) awaited = executor_.awaitedPeers();
  throw FailureError({signcclTimeout,
                      "rank " + std::to_string(rank()) + " waited " + std::to_string(options_.timeout.count()) +
                          " ms for " + (awaited.empty() ? "the other ranks" : "rank " + rankList(awaited)) +
                          " in exchange number " + std::to_string(operation.batch.exchange),
                      Failure::Scope::kGroup, awaited});
}

void Communicator::complete(Operation& operation) {
  group_->end(operation.batch.exchange);
  const std::lock_guard lock(mutex_);
  ++counters_.exchanges;
  counters_.collectives += operation.batch.segments.size();
  counters_.transport = transport_->counters();
  counters_.scratch_bytes = executor_.scratchBytes();
  queue_.erase(queue_.begin());
  front_.store(queue_.empty() ? nullptr : queue_.front(), std::memory_order_release);
  operation.done.store(true, std::memory_order_release);
  changed_.notify_all();
}

void Communicator::failAll(const Failure& failure) {
  if (!abandoned_) {
    executor_.abandon();
    abandoned_ = true;
  }
  const std::lock_guard lock(mutex_);
  for (Operation* operation : queue_) {
    operation->outcome = failure;
    operation->done.store(true, std::memory_order_release);
  }
  if (!queue_.empty()) log(LogLevel::kWarn, Subsystem::kColl, rank(), failure.message);
  queue_.clear();
  front_.store(nullptr, std::memory_order_release);
  changed_.notify_all();
}

void Communicator::progressLoop() {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto has_work = [&] {
      return std::any_of(queue_.begin(), queue_.end(), [](const Operation* o) { return o->in_background; });
    };
    changed_.wait(lock, [&] { return stopping_ || has_work(); });
    if (stopping_) return;
    const Operation& oldest = *queue_.front();
    lock.unlock();
    {
      const std::lock_guard driving(driver_);
      // Whoever drove meanwhile may have completed it and more, so it is only compared, not used.
      if (front_.load(std::memory_order_acquire) == &oldest) driveUntil(oldest);
    }
    lock.lock();
  }
}

void Communicator::finalize() {
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

void Communicator::abort() noexcept {
  group_->fail({signcclRemoteError,
                "rank " + std::to_string(rank()) + " aborted the communicator",
                Failure::Scope::kGroup,
                {rank()}});
}

signcclResult_t Communicator::asyncError() const {
  if (group_->failed()) return group_->failure().code;
  const std::lock_guard lock(mutex_);
  return queue_.empty() ? signcclSuccess : signcclInProgress;
}

void Communicator::postSplit(int color, int key, const CommOptions& options) {
  const std::lock_guard lock(mutex_);
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

CommCounters Communicator::counters() const {
  const std::lock_guard lock(mutex_);
  CommCounters counters = counters_;
  counters.last_algorithm = last_algorithm_.load(std::memory_order_relaxed);
  return counters;
}

void Communicator::throwIfUnusable() const {
  if (group_->failed()) {
    const Failure failure = group_->failure();
    throw Error(failure.code, "the communicator has failed: " + failure.message);
  }
  if (finalized_) throw Error(signcclInvalidUsage, "the communicator is finalized; it takes no more collectives");
}

}  // namespace signccl
