// SPDX-License-Identifier: Apache-2.0
// The captured calls of a rank by graph: which of them has a replay to exchange.
#ifndef SIGNCCL_STREAM_CAPTURED_GRAPHS_H_
#define SIGNCCL_STREAM_CAPTURED_GRAPHS_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "stream/captured_call.h"

namespace signccl {

/// Every replay of a graph comes to all of its calls, so they are exchanged in the order of their capture, which all
/// ranks share, whichever is posted first: branches of a graph run in no order. Calls that are dropped leave by
/// themselves. Any thread.
class CapturedGraphs {
 public:
  void add(std::shared_ptr<CapturedCall> call);

  /// A call that is the next of its graph and is posted; null if there is none.
  [[nodiscard]] std::shared_ptr<CapturedCall> posted();

  /// The call, which was the next of its graph, is exchanged.
  void passOn(const CapturedCall& call);

  /// True if a call is posted that is not the next of its graph.
  [[nodiscard]] bool hasWaiting();

  /// See CapturedCall::failPosted(); of all calls.
  bool failPosted();

  [[nodiscard]] bool isEmpty();

  /// Of the memory of all calls.
  [[nodiscard]] std::size_t bytes();

 private:
  /// The calls of one capture.
  struct Graph {
    unsigned long long capture = 0;
    std::vector<std::shared_ptr<CapturedCall>> calls;
    std::size_t next = 0;
  };

  void removeDropped();

  std::mutex mutex_;
  std::vector<Graph> graphs_;
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_CAPTURED_GRAPHS_H_
