// SPDX-License-Identifier: Apache-2.0
#include "stream/replay_service.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/exit_gate.h"
#include "base/failure.h"
#include "base/log.h"
#include "stream/captured_graphs.h"

namespace signccl {
namespace {

using Clock = std::chrono::steady_clock;

/// How the thread looks for posts: without a pause after the last one, then after a part of the time since.
constexpr std::chrono::microseconds kTimeWithoutPause{20};
constexpr int kYields = 200;
constexpr std::chrono::microseconds kShortestSleep{20};
constexpr std::chrono::microseconds kLongestSleep{500};
constexpr int kSleepPart = 64;
/// How often it looks for failures of the rank's communicator while an exchange is under way.
constexpr std::chrono::milliseconds kLook{10};
/// How long it waits, after a failure, until the other ranks of the process read no signs of this one any more.
constexpr std::chrono::seconds kLongestFarewell{1};
/// How long the end of a communicator after exit() waits for the thread, which sleeps for good at its next pass.
constexpr std::chrono::milliseconds kTimeToTheGate{50};
constexpr std::uint64_t kFarewell = std::numeric_limits<std::uint64_t>::max() - 1;

}  // namespace

/// What the thread works with.
class ReplayService::State {
 public:
  explicit State(Communicator& comm) : comm_(&comm), rank_(comm.rank()), timeout_(comm.options().timeout) {}

  void add(std::shared_ptr<CapturedCall> call);
  void close();
  CommCounters counters();
  void run() noexcept;

 private:
  void openLane() noexcept;
  bool turn();
  bool failPosted();
  void exchange(const std::shared_ptr<CapturedCall>& call);
  void checkOrder();
  [[nodiscard]] std::string waitedFor(const char* what) const;
  void closeLane(const std::exception_ptr& error) noexcept;
  void bidFarewell() noexcept;
  void pause(Clock::duration idle);
  [[nodiscard]] bool isClosing();
  [[nodiscard]] bool isOver();

  CapturedGraphs graphs_;
  Communicator* const comm_;  ///< not used once is_closed_
  const Rank rank_;
  const std::chrono::milliseconds timeout_;
  std::unique_ptr<Communicator> lane_;            ///< the duplicate; of the thread; null after a failure and at the end
  std::optional<Clock::time_point> waits_since_;  ///< a call waits for an earlier one of its graph; of the thread
  int yields_ = 0;                                ///< of the thread
  bool has_exchanged_ = false;                    ///< something with lane_; of the thread
  bool has_warned_ = false;                       ///< of the thread

  std::mutex mutex_;  ///< guards what follows
  std::condition_variable changed_;
  bool is_joining_ = true;   ///< the duplicate is not there yet
  bool is_closing_ = false;  ///< the rank's communicator ends
  bool is_closed_ = false;   ///< lane_ is null for good
  CommCounters counters_;    ///< after the last exchange
};

ReplayService::~ReplayService() {
  if (state_) state_->close();
}

CommCounters ReplayService::counters() const { return state_ ? state_->counters() : CommCounters{}; }

void ReplayService::add(std::shared_ptr<CapturedCall> call) {
  if (state_) return state_->add(std::move(call));
  ExitGate::open();
  const auto state = std::make_shared<State>(comm_);
  state->add(std::move(call));
  comm_.postDuplicate();
  try {
    std::thread([state] { state->run(); }).detach();
  } catch (...) {
    comm_.fail(failureOf(std::current_exception()));
    dropDuplicate();
    throw;
  }
  state_ = state;
}

/// Of a communicator that has failed.
void ReplayService::dropDuplicate() noexcept {
  try {
    comm_.awaitDuplicate({});
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): that is expected
  }
}

void ReplayService::State::add(std::shared_ptr<CapturedCall> call) {
  graphs_.add(std::move(call));
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

/// Where other ranks never capture, the duplicate of the communicator would be waited for until the deadline.
void ReplayService::State::close() {
  std::unique_lock lock(mutex_);
  is_closing_ = true;
  changed_.notify_all();
  changed_.wait_for(lock, kLongestFarewell, [&] { return is_closed_ || !is_joining_; });
  if (is_joining_) {
    comm_->fail(failureOr(signcclRemoteError, "a rank left", [&] {
      return Failure{
          signcclRemoteError,
          rankName(rank_) + " destroyed its communicator before all ranks had captured a call into a CUDA graph",
          Failure::Scope::kGroup,
          {rank_}};
    }));
  }
  const auto is_closed = [&] { return is_closed_; };
  if (ExitGate::isClosed()) {
    changed_.wait_for(lock, kTimeToTheGate, is_closed);
    return;
  }
  changed_.wait(lock, is_closed);
}

CommCounters ReplayService::State::counters() {
  CommCounters counters;
  {
    const std::lock_guard lock(mutex_);
    counters = counters_;
  }
  counters.engine.scratch_bytes += graphs_.bytes();
  return counters;
}

bool ReplayService::State::isClosing() {
  const std::lock_guard lock(mutex_);
  return is_closing_;
}

/// Whether nobody will need the thread any more.
bool ReplayService::State::isOver() {
  const std::lock_guard lock(mutex_);
  return is_closed_ && is_closing_ && graphs_.isEmpty();
}

void ReplayService::State::run() noexcept {
  openLane();
  Clock::time_point last = Clock::now();
  while (!isOver()) {
    bool moved = true;
    try {
      moved = turn();
    } catch (...) {
      closeLane(std::current_exception());
    }
    if (moved) {
      last = Clock::now();
      yields_ = 0;
    } else {
      pause(Clock::now() - last);
    }
  }
}

void ReplayService::State::openLane() noexcept {
  try {
    const std::string& name = comm_->options().name;
    lane_ = comm_->awaitDuplicate(name.empty() ? "graphs" : name + ", graphs");
    const std::lock_guard lock(mutex_);
    is_joining_ = false;
    changed_.notify_all();
  } catch (...) {
    closeLane(std::current_exception());
  }
}

/// True if a stream goes on because of it.
bool ReplayService::State::turn() {
  if (!lane_) return failPosted();
  if (comm_->failed()) throw FailureError(comm_->failure());
  if (lane_->failed()) throw FailureError(lane_->failure());
  std::shared_ptr<CapturedCall> call;
  {
    const ExitGate::Pass pass;
    call = graphs_.posted();
    if (!call) checkOrder();
  }
  if (call) {
    exchange(call);
  } else if (isClosing()) {
    closeLane(nullptr);
  }
  return call != nullptr;
}

bool ReplayService::State::failPosted() {
  const ExitGate::Pass pass;
  if (!graphs_.failPosted()) return false;
  if (!std::exchange(has_warned_, true)) {
    log(LogLevel::kWarn, Subsystem::kColl, rank_,
        "a CUDA graph is replayed whose communicator has failed or is destroyed: its votes and averages write nothing");
  }
  return true;
}

void ReplayService::State::exchange(const std::shared_ptr<CapturedCall>& call) {
  has_exchanged_ = true;
  Operation& operation = lane_->submit(
      {.rules = call->rules(), .segments = call->nextReplay(), .first_tensor = call->firstTensor(), .ends = call});
  const auto is_done = [&] {
    const ExitGate::Pass pass;
    return lane_->isDoneWithin(operation, kLook);
  };
  std::optional<Clock::time_point> end;  // once the communicator is to end; signs of this rank have no deadline before
  while (!is_done()) {
    if (comm_->failed()) lane_->fail(comm_->failure());
    if (!end && isClosing()) end = Clock::now() + timeout_;
    if (end && Clock::now() > *end) throw Error(signcclTimeout, waitedFor("the stream that encodes its signs"));
  }
  lane_->wait(operation);
  waits_since_.reset();
  graphs_.passOn(*call);
  const std::lock_guard lock(mutex_);
  counters_ = lane_->counters();
}

std::string ReplayService::State::waitedFor(const char* what) const {
  return rankName(rank_) + " waited " + std::to_string(timeout_.count()) + " ms for " + what;
}

/// A call that is posted before an earlier one of its graph waits for that. Its stream must not wait for ever.
void ReplayService::State::checkOrder() {
  if (!graphs_.hasWaiting()) {
    waits_since_.reset();
    return;
  }
  const Clock::time_point now = Clock::now();
  if (!waits_since_) waits_since_ = now;
  if (now - *waits_since_ < timeout_) return;
  throw Error(signcclTimeout, waitedFor("a replay to come to a call that was captured before the one that waits"));
}

/// After a failure of replays or of the rank's communicator, or at its end. From then on streams get no results.
void ReplayService::State::closeLane(const std::exception_ptr& error) noexcept {
  if (error) {
    Failure failure = failureOf(error);
    if (!comm_->failed()) {
      failure = failureOr(failure.code, "out of memory", [&] {
        return Failure{failure.code, "replays of CUDA graphs: " + failure.message, failure.scope, failure.gone};
      });
    }
    comm_->fail(failure);
    if (lane_) lane_->fail(failure);
    bidFarewell();
  } else {
    lane_->arrive(kFarewell);
  }
  lane_.reset();
  const std::lock_guard lock(mutex_);
  is_joining_ = false;
  is_closed_ = true;
  changed_.notify_all();
}

/// Replays that come after a failure overwrite signs, which other ranks of the process may be reading until they have
/// heard of the failure.
void ReplayService::State::bidFarewell() noexcept {
  if (!lane_) return;
  lane_->step();  // gives the exchange up, if one is under way
  lane_->arrive(kFarewell);
  if (!has_exchanged_) return;
  const Clock::time_point end = Clock::now() + kLongestFarewell;
  while (!lane_->haveRanksOfProcessArrived(kFarewell) && Clock::now() < end) {
    std::this_thread::sleep_for(kShortestSleep);
  }
}

void ReplayService::State::pause(Clock::duration idle) {
  if (idle < kTimeWithoutPause) return;
  if (yields_ < kYields) {
    ++yields_;
    std::this_thread::yield();
    return;
  }
  std::unique_lock lock(mutex_);
  if (is_closing_ && !is_closed_) return;
  if (graphs_.isEmpty()) {
    changed_.wait(lock, [&] { return !graphs_.isEmpty() || is_closing_; });
    return;
  }
  const auto part = std::chrono::duration_cast<std::chrono::microseconds>(idle / kSleepPart);
  changed_.wait_for(lock, std::clamp(part, kShortestSleep, kLongestSleep));
}

}  // namespace signccl
