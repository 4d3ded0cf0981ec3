// SPDX-License-Identifier: Apache-2.0
// One rank's communicator: joins, issues calls in groups and in either form, counts them, and turns errors into
// exceptions.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_RANK_COMM_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_RANK_COMM_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <stdexcept>
#include <string>

#include "sign_all_reduce_perf/buffers.h"
#include "sign_all_reduce_perf/options.h"
#include "sign_all_reduce_perf/plan.h"
#include "sign_all_reduce_perf/rank_gpu.h"
#include "signccl/signccl.h"

namespace signccl::perf {

/// A call of the library that failed; what() has its name, the result and the library's words.
class CallFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws CallFailed unless `result` is success. `comm` may be NULL.
void checkResult(signcclResult_t result, const char* call, signcclComm_t comm);

class RankComm {
 public:
  /// Joins as `rank`; returns when all ranks have joined. Calls go to the stream of `gpu`, which outlives this; null:
  /// they are the host's.
  RankComm(const Options& options, const signcclUniqueId& id, int rank, const RankGpu* gpu = nullptr);
  ~RankComm();
  RankComm(const RankComm&) = delete;
  RankComm& operator=(const RankComm&) = delete;

  /// Issues calls of the kind and size of `c`, as a group if there are several. Async calls are only queued; earlier
  /// ones are waited for until at most `max_in_flight` are under way with these.
  void issue(const Case& c, std::span<const CallBuffers> calls, std::size_t max_in_flight);

  /// Waits for all queued calls, and those on the stream.
  void wait();

  /// Once the stream has come to the end of replays: waits until the communicator has counted `ncalls` calls in all,
  /// as signcclCommGetStats() counts them.
  void awaitCount(std::uint64_t ncalls);

  /// A collective of a few elements in host memory: ranks leave it within microseconds of each other, be they processes
  /// or threads.
  void meet();

  /// Ends the life of the communicator in an orderly way.
  void finalize();

  /// Breaks the communicator, so that other ranks do not wait for this one.
  void abort() noexcept;

  /// Number that the next call has on the communicator.
  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }

  [[nodiscard]] signcclCommStats_t stats() const;

 private:
  signcclResult_t issueOne(const Case& c, const CallBuffers& call);
  void waitForOldest();
  void waitForStream();

  signcclSignConfig_t rules_ = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  CallForm form_;
  const RankGpu* gpu_;
  signcclComm_t comm_ = nullptr;
  std::deque<signcclRequest_t> requests_;
  std::uint64_t sequence_ = 0;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_RANK_COMM_H_
