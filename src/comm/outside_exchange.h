// SPDX-License-Identifier: Apache-2.0
// An exchange that somebody else carries out, such as NCCL on a CUDA stream. The communicator numbers it, compares it
// with the calls of the other ranks, watches its deadline, and ends it when the group fails.
#ifndef SIGNCCL_COMM_OUTSIDE_EXCHANGE_H_
#define SIGNCCL_COMM_OUTSIDE_EXCHANGE_H_

#include "transport/transport.h"

namespace signccl {

/// Calls come from the thread that drives the communicator; none blocks or calls CUDA.
class OutsideExchange {
 public:
  virtual ~OutsideExchange() = default;

  /// True once this rank has come to the exchange, so that a wait is a wait for the others. The deadline counts from
  /// then.
  [[nodiscard]] virtual bool hasBegun() noexcept = 0;

  /// True once the results are where they belong.
  [[nodiscard]] virtual bool hasEnded() noexcept = 0;

  /// What this rank has sent and received. Once hasEnded().
  [[nodiscard]] virtual TransportCounters messages() const noexcept = 0;

  /// The group has failed: nobody may wait for the exchange any more. Also called if it never began. The last call.
  virtual void fail() noexcept = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_OUTSIDE_EXCHANGE_H_
