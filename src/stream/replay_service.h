// SPDX-License-Identifier: Apache-2.0
// Exchanges what replays of CUDA graphs post. The library is not called when a graph is replayed, so a thread looks at
// the slots of the calls that are in graphs, as long as there are any. It makes no CUDA call.
//
// Replays have a communicator of their own, a duplicate of the rank's. When a replay comes is up to the stream, while
// a call is queued when the host makes it: in one queue the two would come in another order on every rank.
#ifndef SIGNCCL_STREAM_REPLAY_SERVICE_H_
#define SIGNCCL_STREAM_REPLAY_SERVICE_H_

#include <memory>

#include "comm/communicator.h"
#include "stream/captured_call.h"

namespace signccl {

/// Of one rank. One thread at a time. Failures of replays become failures of the rank's communicator, and those of the
/// communicator end all replays: no stream is left waiting.
class ReplayService {
 public:
  /// `comm` must outlive it.
  explicit ReplayService(Communicator& comm) : comm_(comm) {}

  /// Ends the exchange of a replay that is under way. Replays that come later are answered without results, by the
  /// thread, which lives on until all graphs are gone.
  ~ReplayService();
  ReplayService(const ReplayService&) = delete;
  ReplayService& operator=(const ReplayService&) = delete;

  /// From now on replays of this call are exchanged, until it is dropped. Those of one graph must come to their calls
  /// in the order in which they were added. The first call begins to duplicate the communicator, for which all ranks
  /// must capture a call; does not wait for them. Throws what Communicator::postDuplicate() and starting a thread
  /// throws.
  void add(std::shared_ptr<CapturedCall> call);

  /// Of the replays. Not while add() is called.
  [[nodiscard]] CommCounters counters() const;

 private:
  class State;

  void dropDuplicate() noexcept;

  Communicator& comm_;
  std::shared_ptr<State> state_;  ///< shared with the thread, which may live longer; null before the first call
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_REPLAY_SERVICE_H_
