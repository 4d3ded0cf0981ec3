// A small exchange of one round: every message carries the signs of its sender, and each rank counts all that it gets.
// It does what the executor would do with the same plan, in the order of the plan and without its lanes and queues,
// which take longer than the work itself where a vector has a few words.
#ifndef SIGNCCL_EXEC_ONE_ROUND_H_
#define SIGNCCL_EXEC_ONE_ROUND_H_

#include <cstddef>
#include <span>
#include <vector>

#include "exec/stations.h"
#include "transport/transport.h"

namespace signccl {

/// All calls come from one thread at a time.
class OneRound {
 public:
  /// The transport must outlive it.
  explicit OneRound(Transport& transport) : transport_(transport) {}

  /// True if a plan has one round.
  static bool canRun(const Plan& plan);

  /// Makes ready for exchanges like this one, a single slice, with `memory` for its slots. Both must stay until another
  /// call; what `exchange` points to may change from one start() to the next, but for its plan, its layout and the
  /// number of its words.
  void prepare(const Exchange& exchange, Word* memory);

  /// Begins an exchange: encodes, and hands all messages over.
  void start();

  /// Moves on without blocking. True if anything moved.
  bool progress();

  /// True if no exchange is under way: this rank has its results, and its messages may be overwritten.
  [[nodiscard]] bool finished() const { return is_decoded_ && sends_left_ == 0; }

  /// Ends the exchange; see Executor::abandon().
  void abandon();

  /// Ranks that a message is outstanding from, or, if `sends`, that have yet to take one; in any order.
  [[nodiscard]] std::vector<Rank> awaitedPeers(bool sends) const;

 private:
  struct Message {
    const PlanStep* step = nullptr;
    std::span<Word> words;
    bool is_open = false;
    Request request;
  };

  void countAndDecode();

  Transport& transport_;
  const Exchange* exchange_ = nullptr;
  Slice slice_;
  std::vector<Message> messages_;  ///< sends first
  std::size_t nsends_ = 0;
  std::vector<const Word*> inboxes_;  ///< [inboxes] where the message is
  std::size_t sends_left_ = 0;
  std::size_t receives_left_ = 0;
  bool is_decoded_ = true;
  std::vector<Request*> completed_;  ///< scratch of progress()
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_ONE_ROUND_H_
