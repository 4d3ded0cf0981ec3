// SPDX-License-Identifier: Apache-2.0
// A communicator of SignCCL with the ranks of one of NCCL, by which calls of the latter are carried out.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_MIRROR_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_MIRROR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "nccl/back/failure.h"
#include "nccl/back/nccl_abi.h"
#include "rules/takeover.h"
#include "signccl/signccl.h"

namespace signccl::nccl_preload {

class BackgroundComparison;
class DeviceMemory;

/// Owns the handle. Shared by the record of the communicator, by calls that wait in groups, and by those under way, so
/// that the last of them destroys it, whichever thread aborts or destroys NCCL's communicator meanwhile.
class Mirror {
 public:
  Mirror(signcclComm_t comm, int rank, int nranks);
  ~Mirror();
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  [[nodiscard]] signcclComm_t get() const noexcept { return comm_; }
  [[nodiscard]] int rank() const noexcept { return rank_; }
  [[nodiscard]] int nranks() const noexcept { return nranks_; }

  /// Which sums of signs are tried. For the thread that makes calls.
  [[nodiscard]] rules::Takeover& takeover() noexcept { return takeover_; }

  /// Who counts what is sent: `onSent` gets the index of a rule, and bytes. Before the first call.
  void setOnSent(std::function<void(std::size_t, std::uint64_t)> onSent) { on_sent_ = std::move(onSent); }

  /// Memory of a device for sums that nobody reads, kept until the mirror ends. For the thread that makes calls. Throws
  /// Failure.
  void* scratch(int device, std::size_t bytes);

  /// The calls from now on are those of a rule.
  void beginCalls(std::size_t rule_index);

  /// Counts the bytes that calls have sent since the last time. Not while calls are under way: their bytes are counted
  /// with those of later calls, or when the mirror ends. Any thread.
  void countSentBytes();

 private:
  signcclComm_t comm_;
  int rank_;
  int nranks_;
  rules::Takeover takeover_;
  std::unique_ptr<DeviceMemory> scratch_;
  std::function<void(std::size_t, std::uint64_t)> on_sent_;
  std::mutex counting_mutex_;              ///< of the two below
  std::optional<std::size_t> rule_index_;  ///< of the last call; nothing before the first
  std::uint64_t sent_bytes_ = 0;           ///< that are counted
};

/// What is known of one communicator of NCCL. Any thread; no lock is held while something is waited for.
class Record {
 public:
  Record();
  /// Ends the comparison, if one is under way.
  ~Record();
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;

  /// Given when the communicator is made, before calls; empty if it has none.
  std::string name;

  [[nodiscard]] std::shared_ptr<Mirror> mirror() const;
  /// Aborts it at once if the communicator has been aborted meanwhile.
  void setMirror(const std::shared_ptr<Mirror>& mirror);

  /// Calls are not taken any more; those that are queued are still issued.
  void close() noexcept { is_closed_ = true; }
  [[nodiscard]] bool isClosed() const noexcept { return is_closed_; }

  /// Stops the mirror, from any thread, and closes the record. Waits for no call.
  void abort();
  [[nodiscard]] bool isAborted() const noexcept { return is_aborted_; }

  /// The first failure stays.
  void fail(const Failure& failure);
  [[nodiscard]] std::optional<Failure> failure() const;

  /// What ncclCommGetAsyncError() is to say where NCCL has success.
  [[nodiscard]] Result asyncError() const;

  /// Of a communicator that does not block: what its ranks compare. Set once.
  void setComparison(std::unique_ptr<BackgroundComparison> comparison);
  /// Whether the ranks are comparing their rules, so that the communicator is still in progress.
  [[nodiscard]] bool isComparing() const;
  /// Whether kernels of NCCL may wait for a rank that has not come to compare.
  [[nodiscard]] bool isLeftWaiting() const;
  /// Ends the comparison, after abort() if it is under way. Afterwards no thread but the program's uses the
  /// communicator.
  void endComparison();

  /// The number of ranks, once it is known; 0 before.
  std::atomic<int> nranks = 0;

 private:
  mutable std::mutex mutex_;  ///< of the three below
  std::shared_ptr<Mirror> mirror_;
  std::optional<Failure> failure_;
  std::unique_ptr<BackgroundComparison> comparison_;
  std::atomic<bool> is_closed_ = false;
  std::atomic<bool> is_aborted_ = false;
};

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_MIRROR_H_
