// SPDX-License-Identifier: Apache-2.0
// One rank of a communicator: owns its place in the group, its engine, its plans and its queue of operations.
//
// The thread that holds driver_ advances the oldest operation: a thread that waits for one, or the progress thread that
// the first non-blocking call starts. Operations are carried out in the order of their calls.
#ifndef SIGNCCL_COMM_COMMUNICATOR_H_
#define SIGNCCL_COMM_COMMUNICATOR_H_

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "comm/group.h"
#include "comm/operation.h"
#include "comm/options.h"
#include "comm/plan_cache.h"
#include "exec/engine.h"
#include "tuning/algorithm_chooser.h"

namespace signccl {

/// What the collectives of one exchange have in common.
struct ExchangeRules {
  SignOp op = SignOp::kVote;
  int votes_per_rank = 1;
  TieRule tie = TieRule::kRandom;  ///< of votes; kRandom for averages and sums, which have no ties
  bool discards_misfits = false;   ///< of sums, see Batch::discards_misfits

  friend bool operator==(const ExchangeRules&, const ExchangeRules&) = default;
};

/// Calls to be queued as one exchange.
struct Submission {
  ExchangeRules rules;
  std::span<const Segment> segments;             ///< with the numbers of their calls
  bool in_background = false;                    ///< the progress thread carries it out
  int holders = 1;                               ///< how often wait() will be asked for the outcome; 0: never
  std::int64_t first_tensor = kNoStep;           ///< see ExchangeSignature::first_tensor
  bool vetoes = false;                           ///< see Batch::vetoes
  std::shared_ptr<ExternalEnds> ends = nullptr;  ///< see Batch::ends; kept until the exchange is over
  /// Who carries it out instead of the engine; kept until the exchange is over. All ranks must have one then.
  std::shared_ptr<OutsideExchange> outside = nullptr;
  /// Nothing is exchanged now: the ranks only compare what they have captured for replays over NCCL. It counts as no
  /// exchange.
  bool is_capture = false;
};

/// Counters of a communicator; see signcclCommStats_t.
struct CommCounters {
  EngineCounters engine;
  std::uint64_t collectives = 0;
  std::uint64_t exchanges = 0;
  std::optional<Algorithm> last_algorithm;

  /// Adds those of another communicator, whose last exchange was the later one if it had any.
  void add(const CommCounters& other);
};

class Communicator {
 public:
  Communicator(std::unique_ptr<Group> group, const CommOptions& options);
  /// Leaves the group. Operations that are under way fail.
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  [[nodiscard]] Rank rank() const { return group_->rank(); }
  [[nodiscard]] int nranks() const { return nranks_; }
  [[nodiscard]] const CommOptions& options() const { return options_; }
  [[nodiscard]] Deadline deadline() const { return std::chrono::steady_clock::now() + options_.timeout; }

  /// The number of the next call, which keys random ties. Any thread.
  [[nodiscard]] std::uint64_t nextCallNumber() const { return next_call_.load(std::memory_order_relaxed); }
  void setNextCallNumber(std::uint64_t number) { next_call_.store(number, std::memory_order_relaxed); }
  /// Gives a call its number. Not a read-modify-write, which costs more: calls come from one thread at a time.
  std::uint64_t takeCallNumber() {
    const std::uint64_t number = nextCallNumber();
    setNextCallNumber(number + 1);
    return number;
  }

  /// What the rules mean for the counters, which are the same for a sum and an average.
  [[nodiscard]] CountRules countRules(const ExchangeRules& rules) const;

  /// For an exchange with ends outside of the engine: other ranks of the process need no longer wait for this one in
  /// awaitRanksOfProcess(). Not needed for other exchanges.
  void arrive(std::uint64_t exchange) noexcept {
    if (meeting_.meeting) meeting_.meeting->arrive(meeting_.place, exchange);
  }

  /// Waits until the ranks of the group that are threads of this process have reached an exchange. Throws Error if the
  /// group fails, or signcclTimeout.
  void awaitRanksOfProcess(std::uint64_t exchange);

  /// True if all ranks of the group that are threads of this process have come to an exchange.
  [[nodiscard]] bool haveRanksOfProcessArrived(std::uint64_t exchange) const noexcept {
    return !meeting_.meeting || meeting_.meeting->haveAllArrived(exchange);
  }

  /// Throws what submit() throws for a communicator that takes no exchange.
  void requireUsable() const;

  /// Queues an exchange. Throws Error if the communicator has failed or is finalized, and what starting a thread or
  /// allocating memory throws; nothing is queued then.
  Operation& submit(Submission submission);

  /// Numbers a call and queues it as an exchange of its own with one holder. A call that throws takes no number.
  Operation& submitCall(const ExchangeRules& rules, Segment& segment, bool in_background);

  /// Waits for an operation and carries it out if nobody else does. Throws its error. Drops one hold. Gives its
  /// notes.
  Notes wait(Operation& operation);

  /// Waits as wait() does, but for `longest` at most, and drops no hold. True if the operation is done.
  bool isDoneWithin(const Operation& operation, std::chrono::milliseconds longest);

  /// Advances the oldest operation for a moment, unless another thread is doing so. For a thread that drives several
  /// ranks. True if something was done.
  bool step();

  /// Waits for all operations, and accepts none afterwards. Throws Error. From now on signs of this rank must come
  /// before the deadline too.
  void finalize();

  /// Tells the group that this rank leaves. To be called after finalize(), whether that succeeded or not.
  void leave() noexcept { group_->leave(); }

  /// See signcclCommAbortWithReason(); an empty reason is none. Any thread.
  void abort(std::string_view reason = {}) noexcept;

  /// Makes the communicator fail on all ranks. Any thread.
  void fail(const Failure& failure) noexcept { group_->fail(failure); }
  [[nodiscard]] bool failed() const noexcept { return group_->failed(); }
  /// What made it unusable, once it has failed. Any thread.
  [[nodiscard]] Failure failure() const { return group_->failure(); }

  /// signcclSuccess, signcclInProgress or the failure. Any thread.
  [[nodiscard]] signcclResult_t asyncError() const;

  /// Gathers the parts of all ranks, [rank], which have the same size; see signcclCommAllGather(). Collectives may be
  /// under way. Blocks. Throws Error.
  std::vector<std::string> allGather(std::string part);

  /// The same in two steps, with parts of any size. A thread that takes several ranks through it makes the first one,
  /// which waits for nobody, for all of them before it makes the second.
  void postAllGather(std::string part);
  std::vector<std::string> awaitAllGather(Deadline deadline) { return group_->awaitAllGather(deadline); }

  /// Takes part in a split; joinSplit() and awaitSplit() must follow. No operation may be under way.
  void postSplit(int color, int key, const CommOptions& options);
  /// Once all ranks that the thread drives have posted theirs. Throws Error; then awaitSplit() may not follow.
  void joinSplit() { group_->joinSplit(deadline()); }
  /// Once all ranks that the thread drives have joined. The new communicator, null for a negative color.
  std::unique_ptr<Communicator> awaitSplit();

  /// Begins to make a communicator of the same ranks with the same options but its name; awaitDuplicate() must follow.
  /// All ranks must do so, between the same splits and all-gathers. Collectives may be under way. Does not wait. Throws
  /// Error if the communicator has failed or is finalized.
  void postDuplicate();
  /// Waits until all ranks have begun, and for as long again until all have joined. Any thread: splits and all-gathers
  /// wait for it. Throws Error.
  std::unique_ptr<Communicator> awaitDuplicate(std::string name);

  [[nodiscard]] CommCounters counters() const;

 private:
  /// How exchanges of a size are carried out.
  struct Planned {
    CountRules rules;
    std::size_t nwords = 0;
    Algorithm algorithm = Algorithm::kDirect;
    const Plan* plan = nullptr;
  };

  /// Puts the caller in charge of the engine; empty if another thread is.
  std::unique_lock<std::mutex> tryDrive() { return {driver_, std::try_to_lock}; }

  bool driveOnce();
  template <typename Done>
  void driveUntil(const Done& done);
  void begin(Operation& operation);
  const Plan& planFor(const Batch& batch);
  void announce(Operation& operation);
  bool advance(Operation& operation);
  bool turnEngine();
  void checkDeadline(Operation& operation) const;
  void complete(Operation& operation);
  void end(Operation& operation) noexcept;
  void failAsRank(std::string_view what, std::string_view why = {}) noexcept;
  void failWith(const std::exception_ptr& error) noexcept;
  void failAll() noexcept;
  Operation& firstUnused(int holders);
  Notes release(Operation& operation);
  void recycle(Operation& operation) noexcept;
  void dropHold(Operation& operation) noexcept;
  template <typename Stop>
  void driveWhileOpen(const Operation& operation, const Stop& stop);
  void progressLoop();
  void linger() noexcept;
  void awaitGatherings(std::unique_lock<std::mutex>& lock);
  void throwIfUnusable() const;
  [[noreturn]] void throwFailure() const;

  const CommOptions options_;
  std::unique_ptr<Group> group_;
  const int nranks_;
  std::unique_ptr<TraceBuffer> trace_;
  AlgorithmChooser chooser_;
  PlanCache plans_;
  const CoreShare core_share_;  ///< a rank with a core of its own need not yield while it waits
  const int nthreads_;          ///< that run kernels
  const MeetingPlace meeting_;
  const std::unique_ptr<Engine> engine_;

  std::mutex driver_;        ///< held by the thread that uses engine_, chooser_ and plans_
  Planned planned_;          ///< what planFor() found last; driver only
  bool abandoned_ = false;   ///< the engine was given up; driver only
  unsigned idle_looks_ = 0;  ///< driver only

  std::atomic<bool> finalizing_ = false;
  std::atomic<std::uint64_t> next_call_ = 0;
  /// That an exchange was begun with, or -1. A number, since Clang 14 would call libatomic for an optional.
  std::atomic<int> last_algorithm_ = -1;

  mutable std::mutex mutex_;  ///< guards what follows
  std::condition_variable changed_;
  std::vector<Operation*> queue_;            ///< oldest first; short
  std::atomic<Operation*> front_ = nullptr;  ///< of queue_, null if that is empty; to be read without the mutex
  Operation usual_;  ///< serves an exchange whenever nobody holds it: blocking calls take their turns without the lists
  std::vector<std::unique_ptr<Operation>> operations_;  ///< the others
  Operation* unused_ = nullptr;                         ///< a list
  std::atomic<Operation*> released_ = nullptr;          ///< a list that unused_ takes over; written without the mutex
  std::uint64_t next_exchange_ = 0;
  CommCounters counters_;
  TransportCounters outside_messages_;  ///< of exchanges that the engine did not carry out
  bool finalized_ = false;
  bool stopping_ = false;
  bool is_duplicating_ = false;  ///< awaitDuplicate() is to come, or under way
  std::optional<CommOptions> split_options_;
  std::thread progress_thread_;
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_COMMUNICATOR_H_
