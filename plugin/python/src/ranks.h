// The ranks that this process holds, by numbers that compiled programs of XLA carry, and who may use one when.
#ifndef SIGNCCL_JAX_RANKS_H_
#define SIGNCCL_JAX_RANKS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "execution.h"
#include "signccl/signccl.h"
#include "xla/ffi/api/ffi.h"

namespace signccl::jax {

/// One rank of this process. A call locks it, since one thread at a time may use a communicator.
struct HeldRank {
  HeldRank(signcclComm_t with, int number) : comm(with), rank(number) {}

  const signcclComm_t comm;
  const int rank;
  std::mutex mutex;
  std::atomic<std::int32_t> device{-1};  ///< of the call under way, -1 between calls
  Execution last;                        ///< of the latest call
};

/// The ranks of one group that this process holds: one, or one for each of its devices.
class LocalRanks {
 public:
  void add(signcclComm_t comm, int rank) { held_.push_back(std::make_unique<HeldRank>(comm, rank)); }

  /// The rank of that number, or the only one for -1; null if it is not here.
  [[nodiscard]] HeldRank* find(std::int32_t rank) const;

  /// "rank 3", or "ranks 2, 3".
  [[nodiscard]] std::string describe() const;

  /// Whether a call is under way, or waits for one that is.
  [[nodiscard]] bool isBusy() const;

  /// Ends the group on all ranks: those that wait for a device that was refused would wait for ever.
  void abort() const;

  /// Waits until no call is under way.
  void waitForCalls() const;

 private:
  std::vector<std::unique_ptr<HeldRank>> held_;
};

/// Finds what signcclJaxAddRanks() was given. A pointer that all calls under way share with the table: removal does not
/// wait for it here.
std::shared_ptr<LocalRanks> findRanks(std::int64_t ranks);

/// A rank, locked for one call.
class RankLock {
 public:
  /// Waits for calls of the same device. `error()` says why there is no rank: the communicator is closed, the rank is not
  /// of this process, or two devices use it in one execution, or at once. The last two end the group.
  RankLock(std::int64_t ranks, std::int32_t rank, Execution execution);
  ~RankLock();
  RankLock(const RankLock&) = delete;
  RankLock& operator=(const RankLock&) = delete;

  [[nodiscard]] const std::optional<xla::ffi::Error>& error() const { return error_; }
  [[nodiscard]] signcclComm_t comm() const { return held_->comm; }

 private:
  void refuseOtherDevice(std::int32_t other, Execution execution);

  std::shared_ptr<LocalRanks> ranks_;
  HeldRank* held_ = nullptr;
  std::unique_lock<std::mutex> lock_;
  std::optional<xla::ffi::Error> error_;
};

/// Gives calls a number of the caller's choice, and the communicator its own one back in the end.
class CallNumber {
 public:
  CallNumber(signcclComm_t comm, std::optional<std::uint64_t> number);
  ~CallNumber();
  CallNumber(const CallNumber&) = delete;
  CallNumber& operator=(const CallNumber&) = delete;

 private:
  signcclComm_t comm_;
  std::optional<std::uint64_t> before_;
};

}  // namespace signccl::jax

#endif  // SIGNCCL_JAX_RANKS_H_
