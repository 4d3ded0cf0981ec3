// SPDX-License-Identifier: Apache-2.0
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

#include "calling_device.h"
#include "lion_cache.h"
#include "signccl/signccl.h"
#include "xla/ffi/api/ffi.h"

namespace signccl::jax {

/// One rank of this process. A call locks it, since one thread at a time may use a communicator.
struct HeldRank {
  HeldRank(signcclComm_t with, int number, int of_device) : comm(with), rank(number), device(of_device) {}

  const signcclComm_t comm;
  const int rank;
  const int device;  ///< whose rank it is, among the devices of this process; -1 if the device says its rank
  std::mutex mutex;
  std::atomic<bool> is_busy{false};
  std::atomic<std::int32_t> owner{-1};  ///< the device that used it first, -1 before that
  LionCache lions;                      ///< of steps on a device; the mutex guards it
};

/// Instead of the number of a rank.
inline constexpr std::int32_t kOnlyRank = -1;      ///< the only one of the process
inline constexpr std::int32_t kRankOfDevice = -2;  ///< the only one, or that of the calling device

/// The ranks of one group that this process holds: one, or one for each of its devices.
class LocalRanks {
 public:
  void add(signcclComm_t comm, int rank, int device) {
    held_.push_back(std::make_unique<HeldRank>(comm, rank, device));
  }

  /// The rank of that number, or what the two constants say; null if it is not here.
  [[nodiscard]] HeldRank* find(std::int32_t rank, CallingDevice device) const;

  /// "rank 3", or "ranks 2, 3".
  [[nodiscard]] std::string describe() const;

  /// Whether a call is under way.
  [[nodiscard]] bool isBusy() const;

  /// Waits until no call is under way, and ends what calls have made for later ones.
  void end() const;

  /// Ends the group on all ranks, which else would wait for the device that was refused. The first text is kept.
  void refuse(const std::string& text);

  /// What refuse() was called with first, if it was.
  [[nodiscard]] std::optional<std::string> refusal() const;

 private:
  std::vector<std::unique_ptr<HeldRank>> held_;
  mutable std::mutex refusal_mutex_;
  std::optional<std::string> refusal_;
};

/// A rank, locked for one call.
class RankLock {
 public:
  /// Waits for other calls. `refusal()` says why there is no rank: the communicator is closed, the rank is not of this
  /// process, or another device used it before. The last two end the group.
  ///
  /// @param ranks  what signcclJaxAddRanks() returned
  /// @param rank   which of them; the only one belongs to the device that uses it first
  RankLock(std::int64_t ranks, std::int32_t rank, CallingDevice device);
  ~RankLock();
  RankLock(const RankLock&) = delete;
  RankLock& operator=(const RankLock&) = delete;

  [[nodiscard]] const std::optional<xla::ffi::Error>& refusal() const { return refusal_; }
  [[nodiscard]] signcclComm_t comm() const { return held_->comm; }
  [[nodiscard]] LionCache& lions() const { return held_->lions; }

  /// The error of a call of this thread; where another device of this process was refused meanwhile, that is the cause.
  [[nodiscard]] xla::ffi::Error errorOf(signcclResult_t result) const;

 private:
  void refuse(const std::string& text);

  std::shared_ptr<LocalRanks> ranks_;
  HeldRank* held_ = nullptr;
  std::unique_lock<std::mutex> lock_;
  std::optional<xla::ffi::Error> refusal_;
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
