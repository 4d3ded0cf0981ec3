// SPDX-License-Identifier: Apache-2.0
// What the thread that holds Communicator::driver_ does: it advances the oldest operation and waits.
#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "comm/communicator.h"

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

}  // namespace

/// Waits for an operation, and carries it out if nobody else does, until it is done or stop() says so.
template <typename Stop>
void Communicator::driveWhileOpen(const Operation& operation, const Stop& stop) {
  const auto is_over = [&] { return operation.done.load(std::memory_order_acquire) || stop(); };
  while (!is_over()) {
    if (const auto driving = tryDrive()) {
      driveUntil(is_over);
    } else {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kLongestSleep, is_over);
    }
  }
}

Notes Communicator::wait(Operation& operation) {
  driveWhileOpen(operation, [] { return false; });
  return release(operation);
}

bool Communicator::isDoneWithin(const Operation& operation, std::chrono::milliseconds longest) {
  const auto end = std::chrono::steady_clock::now() + longest;
  step();  // also where there is no time to wait
  driveWhileOpen(operation, [&] { return std::chrono::steady_clock::now() >= end; });
  return operation.done.load(std::memory_order_acquire);
}

/// Takes no lock if the operation succeeded, because a lock would cost a short blocking call too much. Gives its notes.
Notes Communicator::release(Operation& operation) {
  const bool has_failed = operation.has_failed;
  const Notes notes = operation.notes;
  dropHold(operation);
  if (has_failed) throwFailure();
  return notes;
}

/// The last one that holds an operation makes it free for a later exchange.
void Communicator::dropHold(Operation& operation) noexcept {
  // Nobody becomes a holder of an operation that is done, so a single one is the last.
  const bool is_single = operation.holders.load(std::memory_order_acquire) == 1;
  if (is_single) operation.holders.store(0, std::memory_order_release);  // cheaper than the subtraction
  const bool is_last = is_single || operation.holders.fetch_sub(1, std::memory_order_acq_rel) == 1;
  if (is_last && &operation != &usual_) recycle(operation);
}

void Communicator::recycle(Operation& operation) noexcept {
  operation.next_unused = released_.load(std::memory_order_relaxed);
  while (!released_.compare_exchange_weak(operation.next_unused, &operation, std::memory_order_release,
                                          std::memory_order_relaxed)) {
  }
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

/// Makes the group fail with what an exception says. The other ranks must learn which rank ran out of memory.
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
  log(LogLevel::kInfo, Subsystem::kColl, rank(), shortOpName(operation.signature.op), " exchange ", batch.exchange,
      ": ", batch.segments.size(), " buffer(s), ", batch.nwords, " words");
  const bool is_empty = operation.isEmpty();
  group_->begin(batch.exchange, operation.signature, is_empty);
  operation.announced = is_empty;
  if (is_empty || operation.isOutside()) return;
  engine_->start(planFor(batch), batch);
  last_algorithm_.store(static_cast<int>(planned_.algorithm), std::memory_order_relaxed);
}

/// Most exchanges are like the one before, and looking their plan up would take as long as encoding a few elements.
const Plan& Communicator::planFor(const Batch& batch) {
  if (planned_.plan == nullptr || planned_.nwords != batch.nwords || planned_.rules != batch.rules ||
      planned_.plan->has_external_ends != (batch.ends != nullptr)) {
    const Algorithm algorithm = chooser_.choose(batch.rules, batch.nwords);
    const EndsKind ends = batch.ends == nullptr ? EndsKind::kOwn : EndsKind::kExternal;
    planned_ = {batch.rules, batch.nwords, algorithm, &plans_.plan(algorithm, batch.rules, ends)};
  }
  return *planned_.plan;
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
  for (int turn = 0; turn < kTurnsPerLook && idle_turns > 0; ++turn) {
    if (!engine_->progress()) {
      --idle_turns;
      continue;
    }
    moved = true;
    if (engine_->finished()) break;
  }
  return moved;
}

/// True if anything moved.
bool Communicator::advance(Operation& operation) {
  const bool is_empty = operation.isEmpty();
  if (operation.isOutside()) {
    if (!operation.outside->hasEnded()) return false;
    complete(operation);
    return true;
  }
  const bool moved = !is_empty && turnEngine();
  if (!engine_->finished()) return moved;
  // No votes come with an empty exchange, so it is the announcements that say that all ranks agree.
  if (is_empty && !group_->allAnnounced(operation.batch.exchange)) return false;
  complete(operation);
  return true;
}

void Communicator::checkDeadline(Operation& operation) const {
  // The stream that is to encode may have work for hours before this. Peers wait for this rank meanwhile, and their
  // deadlines count. A thread of this rank that waits has a deadline itself.
  const bool waits_for_itself = operation.isOutside() ? !operation.outside->hasBegun() : engine_->lacksOwnSigns();
  const bool is_awaited = operation.holders.load(std::memory_order_relaxed) > 0;
  if (waits_for_itself && !is_awaited && !finalizing_.load(std::memory_order_relaxed)) {
    operation.deadline.reset();
    return;
  }
  // Set at the first wait: an exchange that never waits needs no clock.
  if (!operation.deadline) operation.deadline = deadline();
  if (std::chrono::steady_clock::now() < *operation.deadline) return;
  if (waits_for_itself) {
    throw Error(signcclTimeout, "rank " + std::to_string(rank()) + " waited " +
                                    std::to_string(options_.timeout.count()) +
                                    " ms for the stream that encodes its signs of exchange number " +
                                    std::to_string(operation.batch.exchange));
  }
  // With most algorithms everybody waits for a message that depends on a rank that is late, so who did not even
  // announce the exchange says more than who owes a message.
  std::vector<Rank> awaited = group_->notAnnounced(operation.batch.exchange);
  if (awaited.empty() && !operation.isOutside()) awaited = engine_->awaitedPeers();
  throw FailureError({signcclTimeout,
                      "rank " + std::to_string(rank()) + " waited " + std::to_string(options_.timeout.count()) +
                          " ms for " + (awaited.empty() ? "the other ranks" : rankNames(awaited)) +
                          " in exchange number " + std::to_string(operation.batch.exchange),
                      Failure::Scope::kGroup, awaited});
}

void Communicator::complete(Operation& operation) {
  group_->end(operation.batch.exchange);
  const bool is_step = operation.signature.first_tensor != kNoStep;
  const std::lock_guard lock(mutex_);
  if (!operation.isCapture()) {
    ++counters_.exchanges;
    counters_.collectives += is_step ? 1 : operation.batch.segments.size();
  }
  if (!operation.isEmpty() && !operation.outside) operation.notes = engine_->notes();
  counters_.engine = engine_->counters();
  if (operation.isOutside()) outside_messages_.add(operation.outside->messages());
  queue_.erase(queue_.begin());
  front_.store(queue_.empty() ? nullptr : queue_.front(), std::memory_order_release);
  end(operation);
  changed_.notify_all();
}

/// The outcome of an operation is there. With the mutex.
void Communicator::end(Operation& operation) noexcept {
  operation.ends.reset();
  operation.outside.reset();
  const bool is_held = operation.holders.load(std::memory_order_relaxed) > 0;
  operation.done.store(true, std::memory_order_release);
  if (!is_held) recycle(operation);
}

/// Ends all operations with the failure of the group. Driver only.
void Communicator::failAll() noexcept {
  if (!abandoned_) {
    engine_->abandon();
    abandoned_ = true;
  }
  group_->awaitTold();
  const std::lock_guard lock(mutex_);
  for (Operation* operation : queue_) {
    operation->has_failed = true;
    if (operation->ends) operation->ends->fail();
    if (operation->outside) operation->outside->fail();
    end(*operation);
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

}  // namespace signccl
