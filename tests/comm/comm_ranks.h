// SPDX-License-Identifier: Apache-2.0
// Communicators of one group, and calls on them, for tests.
#ifndef SIGNCCL_TESTS_COMM_COMM_RANKS_H_
#define SIGNCCL_TESTS_COMM_COMM_RANKS_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "comm/loopback_group.h"

namespace signccl {

/// Kernels in the calling thread alone, and a deadline that a test only reaches if it hangs.
inline CommOptions testOptions() {
  CommOptions options;
  options.nthreads = 1;
  options.timeout = std::chrono::minutes(2);
  options.kernels = selectKernels(nullptr);
  return options;
}

/// Puts something around the place of each rank.
using WrapGroup = std::function<std::unique_ptr<Group>(std::unique_ptr<Group>)>;

class CommRanks {
 public:
  explicit CommRanks(int nranks, const CommOptions& options = testOptions(), const WrapGroup& wrap = {}) {
    for (auto& place : LoopbackGroup::makeAll(nranks, options.ranks_per_node)) {
      std::unique_ptr<Group> group = std::move(place);
      if (wrap) group = wrap(std::move(group));
      comms_.push_back(std::make_unique<Communicator>(std::move(group), options));
    }
  }

  [[nodiscard]] Communicator& operator[](Rank rank) { return *comms_[static_cast<std::size_t>(rank)]; }
  [[nodiscard]] int size() const { return static_cast<int>(comms_.size()); }
  void destroy(Rank rank) { comms_[static_cast<std::size_t>(rank)].reset(); }

 private:
  std::vector<std::unique_ptr<Communicator>> comms_;
};

/// True if an operation is done; then drops one hold of it, or throws its error.
inline bool endsIfDone(Communicator& comm, Operation& operation) {
  if (!operation.done.load(std::memory_order_acquire)) return false;
  comm.wait(operation);
  return true;
}

/// A call on int8 buffers of its own.
class Call {
 public:
  explicit Call(std::vector<std::int8_t> send) : send_(std::move(send)), recv_(send_.size(), 99) {}

  [[nodiscard]] Segment segment() {
    return {.source = elementSource(ElementType::kInt8, send_.data()),
            .sink = elementSink(ElementType::kInt8, recv_.data()),
            .count = send_.size()};
  }
  [[nodiscard]] const std::vector<std::int8_t>& result() const { return recv_; }

  Operation& submit(Communicator& comm, const ExchangeRules& rules = {}, bool in_background = false, int holders = 1) {
    Segment only = segment();
    only.call = comm.takeCallNumber();
    return comm.submit({.rules = rules, .segments = {&only, 1}, .in_background = in_background, .holders = holders});
  }

  /// Blocks.
  void run(Communicator& comm, const ExchangeRules& rules = {}) { comm.wait(submit(comm, rules)); }

 private:
  std::vector<std::int8_t> send_;
  std::vector<std::int8_t> recv_;
};

/// `count` times +1 on rank 0, and -1 on the others.
inline Call zeroAgainstTheRest(Rank rank, std::size_t count) {
  return Call(std::vector<std::int8_t>(count, rank == 0 ? std::int8_t{1} : std::int8_t{-1}));
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_COMM_COMM_RANKS_H_
