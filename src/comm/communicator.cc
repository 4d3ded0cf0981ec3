#include "comm/communicator.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "comm/all_gather.h"
#include "exec/host_engine.h"

namespace signccl {
namespace {

/// How often a waiting thread polls without a pause before it yields between polls. Polling without a pause takes about
/// 20 us in all; yielding costs up to a microsecond at the next message. Ranks that share a core yield at once, because
/// the rank that they wait for may need the core.
constexpr int kTurnsBeforeYield = 200;
/// ... and before it sleeps, which costs tens of microseconds at the next message.
constexpr int kTurnsBeforeSleep = kTurnsBeforeYield + 2000;
/// Before checking for failures and deadlines, poll the engine up to 64 times, or until 8 polls found nothing. A thread
/// that is to yield stops after the first poll that found nothing.
constexpr int kTurnsPerLook = 64;
constexpr int kIdleTurnsPerLook = 8;
/// Read the clock once per 16 checks that found nothing: it takes as long as half a poll.
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
      trace_(options.trace == nullptr ? nullptr : options.trace->addRank(group_->rank(), options.name)),
      chooser_(group_->rank(), group_->topology(), costModel(*group_, options), options.algorithm, options.tuning),
      plans_(group_->rank(), group_->topology()),
      core_share_(group_->coreShare()),
      nthreads_(options.nthreads > 0 ? options.nthreads : core_share_.threadsPerRank()),
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
  log(LogLevel::kInfo, Subsystem::kDestroy, rank(), "communicator '", options_.name, "' destroyed");
}

/// Lets the others take what this rank has sent before its transport goes away, as long as that is likely to be short.
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

Operation& Communicator::submit(const ExchangeRules& rules, std::span<const Segment> segments, bool in_background,
                                int holders) {
  const std::lock_guard lock(mutex_);
  throwIfUnusable();
  if (in_background && !progress_thread_.joinable()) progress_thread_ = std::thread([this] { progressLoop(); });
  Operation& operation = firstUnused();
  const bool has_ties = nranks() * rules.votes_per_rank % 2 == 0;
  operation.batch.clear();
  operation.batch.exchange = next_exchange_;
  operation.batch.tie = rules.tie;
  operation.batch.rules = {rules.op, nranks(), rules.votes_per_rank,
                           rules.op == SignOp::kVote && rules.tie == TieRule::kZero && has_ties};
  operation.signature.op = rules.op;
  operation.signature.votes_per_rank = rules.votes_per_rank;
  operation.signature.tie = rules.tie;
  operation.signature.calls.resize(segments.size());
  for (std::size_t i = 0; i < segments.size(); ++i) {
    assignSignature(operation.signature.calls[i], segments[i]);
    operation.batch.add(segments[i]);
  }
  operation.batch.digest = operation.signature.digest();
  operation.in_background = in_background;
  operation.holders.store(holders, std::memory_order_relaxed);
  operation.started = false;
  operation.announced = false;
  operation.deadline.reset();
  operation.done.store(false, std::memory_order_relaxed);
  operation.has_failed = false;
  queue_.push_back(&operation);
  // Nothing below throws.
  unused_ = operation.next_unused;
  ++next_exchange_;
  front_.store(queue_.front(), std::memory_order_release);
  if (in_background) changed_.notify_all();
  return operation;
}

Operation& Communicator::submitCall(const ExchangeRules& rules, Segment& segment, bool in_background) {
  segment.call = nextCallNumber();
  Operation& operation = submit(rules, {&segment, 1}, in_background, 1);
  takeCallNumber();
  return operation;
}

/// The first of the operations that nobody holds, still in their list.
Operation& Communicator::firstUnused() {
  if (unused_ == nullptr) unused_ = released_.exchange(nullptr, std::memory_order_acquire);
  if (unused_ == nullptr) unused_ = operations_.emplace_back(std::make_unique<Operation>()).get();
  return *unused_;
}

void Communicator::wait(Operation& operation) {
  while (!operation.done.load(std::memory_order_acquire)) {
    if (const auto driving = tryDrive()) {
      driveUntil([&] { return operation.done.load(std::memory_order_acquire); });
    } else {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kLongestSleep, [&] { return operation.done.load(std::memory_order_acquire); });
    }
  }
  release(operation);
}

/// Takes no lock where the operation went well: a blocking call is short of time here.
void Communicator::release(Operation& operation) {
  const bool has_failed = operation.has_failed;
  // Nobody becomes a holder of an operation that is done, so a single one is the last.
  const bool is_last = operation.holders.load(std::memory_order_acquire) == 1 ||
                       operation.holders.fetch_sub(1, std::memory_order_acq_rel) == 1;
  if (is_last) {
    operation.next_unused = released_.load(std::memory_order_relaxed);
    while (!released_.compare_exchange_weak(operation.next_unused, &operation, std::memory_order_release,
                                            std::memory_order_relaxed)) {
    }
  }
  if (has_failed) throwFailure();
}

bool Communicator::step() {
  const auto driving = tryDrive();
  return driving && driveOnce();
}

template <typename Done>
void Communicator::driveUntil(const Done& done) {
  const int first_turn = core_share_.hasOwnCore() ? 0 : kTurnsBeforeYield;
  int idle_turns = first_turn;
  while (!done()) {
    if (driveOnce()) {
      idle_turns = first_turn;
    } else if (++idle_turns >= kTurnsBeforeSleep) {
      engine_->wait(kLongestSleep);
    } else if (idle_turns >= kTurnsBeforeYield) {
      std::this_thread::yield();
    }
  }
}

bool Communicator::driveOnce() {
  Operation* const operation = front_.load(std::memory_order_acquire);
  if (operation == nullptr) return false;
  try {
    if (group_->failed()) throwFailure();
    if (!operation->started) begin(*operation);
    if (advance(*operation)) return true;
    if (!operation->announced) announce(*operation);
    if (++idle_looks_ % kLooksPerClock == 0) checkDeadline(*operation);
    return false;
  } catch (...) {
    failWith(std::current_exception());
  }
  failAll();
  return true;
}

/// Makes the group fail with what an exception says. The other ranks must hear whose memory is short.
void Communicator::failWith(const std::exception_ptr& error) noexcept {
  Failure failure = failureOf(error);
  try {
    if (failure.message == "out of memory") failure.message = "rank " + std::to_string(rank()) + " is out of memory";
    log(LogLevel::kWarn, Subsystem::kColl, rank(), failure.message);
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): the message stays as it is
  }
  group_->fail(failure);
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
  const Algorithm algorithm = chooser_.choose(batch.rules, batch.nwords);
  engine_->start(plans_.plan(algorithm, batch.rules), batch);
  last_algorithm_.store(static_cast<int>(algorithm), std::memory_order_relaxed);
}

/// Most exchanges of a few elements end before anybody need know of them.
void Communicator::announce(Operation& operation) {
  operation.announced = true;
  group_->announce(operation.batch.exchange, operation.signature);
}

/// True if anything moved.
bool Communicator::turnEngine() {
  int idle_turns = core_share_.hasOwnCore() ? kIdleTurnsPerLook : 1;
  bool moved = false;
  for (int turn = 0; turn < kTurnsPerLook && idle_turns > 0 && !engine_->finished(); ++turn) {
    if (engine_->progress()) {
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
  const bool moved = !is_empty && turnEngine();
  if (!engine_->finished()) return moved;
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
  if (awaited.empty()) awaited = engine_->awaitedPeers();
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
  counters_.engine = engine_->counters();
  queue_.erase(queue_.begin());
  front_.store(queue_.empty() ? nullptr : queue_.front(), std::memory_order_release);
  operation.done.store(true, std::memory_order_release);
  changed_.notify_all();
}

/// Ends all operations with the failure of the group. Driver only.
void Communicator::failAll() noexcept {
  if (!abandoned_) {
    engine_->abandon();
    abandoned_ = true;
  }
  const std::lock_guard lock(mutex_);
  for (Operation* operation : queue_) {
    operation->has_failed = true;
    operation->done.store(true, std::memory_order_release);
  }
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
    const std::uint64_t oldest = queue_.front()->batch.exchange;
    lock.unlock();
    {
      const std::lock_guard driving(driver_);
      // Whoever drove meanwhile may have completed it and more. An operation at the front stays there while this thread
      // drives.
      driveUntil([&] {
        const Operation* const front = front_.load(std::memory_order_acquire);
        return front == nullptr || front->batch.exchange != oldest;
      });
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

void Communicator::abort() noexcept { failAsRank(" aborted the communicator"); }

/// Makes the group fail because of what this rank does.
void Communicator::failAsRank(const char* what) noexcept {
  group_->fail(failureOr(signcclRemoteError, "a rank left", [&] {
    return Failure{signcclRemoteError, rankName(rank()) + what, Failure::Scope::kGroup, {rank()}};
  }));
}

signcclResult_t Communicator::asyncError() const {
  if (group_->failed()) return group_->failure().code;
  const std::lock_guard lock(mutex_);
  return queue_.empty() ? signcclSuccess : signcclInProgress;
}

std::vector<std::string> Communicator::allGather(std::string part) {
  {
    const std::lock_guard lock(mutex_);
    throwIfUnusable();
  }
  return signccl::allGather(*group_, std::move(part), deadline());
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
  const int last_algorithm = last_algorithm_.load(std::memory_order_relaxed);
  if (last_algorithm >= 0) counters.last_algorithm = static_cast<Algorithm>(last_algorithm);
  return counters;
}

void Communicator::throwIfUnusable() const {
  if (group_->failed()) {
    const Failure failure = group_->failure();
    throw Error(failure.code, "the communicator has failed: " + failure.message);
  }
  if (finalized_) throw Error(signcclInvalidUsage, "the communicator is finalized; it takes no more collectives");
}

void Communicator::throwFailure() const { throw FailureError(group_->failure()); }

}  // namespace signccl
