// SPDX-License-Identifier: Apache-2.0
// An exchange in the queue of its communicator, from the call until its outcome has been read.
#ifndef SIGNCCL_COMM_OPERATION_H_
#define SIGNCCL_COMM_OPERATION_H_

#include <atomic>
#include <memory>
#include <optional>

#include "comm/group.h"
#include "comm/outside_exchange.h"
#include "comm/signature.h"
#include "exec/batch.h"
#include "exec/notes.h"

namespace signccl {

/// Owned by its communicator, which uses it again for a later exchange when nobody holds it.
struct Operation {
  Batch batch;
  std::shared_ptr<ExternalEnds> ends;        ///< those of the batch
  std::shared_ptr<OutsideExchange> outside;  ///< null: the engine carries it out
  ExchangeSignature signature;
  bool in_background = false;        ///< the progress thread is to carry it out
  bool started = false;              ///< driver only
  bool announced = false;            ///< the group was told that it lasts; driver only
  std::optional<Deadline> deadline;  ///< driver only; set when it waits

  std::atomic<int> holders = 0;      ///< those that will ask for the outcome
  Operation* next_unused = nullptr;  ///< the next in a list of operations that nobody holds
  std::atomic<bool> done = false;
  bool has_failed = false;  ///< by the failure of its group; written before `done`
  Notes notes;              ///< see Engine::notes(); written before `done`

  /// True if there is nothing to exchange, so that the ranks only compare what they have called.
  [[nodiscard]] bool isEmpty() const { return batch.nwords == 0 || isCapture(); }
  [[nodiscard]] bool isCapture() const { return signature.carrier == Carrier::kNcclGraph; }

  /// True if there is something to exchange, and somebody else than the engine does it.
  [[nodiscard]] bool isOutside() const { return outside && batch.nwords > 0; }
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_OPERATION_H_
