// SPDX-License-Identifier: Apache-2.0
// A graph that holds a call by every rule, and what its replays must give.
#ifndef SIGNCCL_TESTS_STREAM_GRAPH_MATRIX_H_
#define SIGNCCL_TESTS_STREAM_GRAPH_MATRIX_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "graph_job.h"

namespace signccl {

/// Every operation with every rule.
inline std::vector<Case> graphCases() {
  std::vector<Case> all;
  for (const int zero : {signcclZeroBinary, signcclZeroTernary}) {
    for (const int tie : {signcclTieZero, signcclTiePositive, signcclTieNegative, signcclTieRandom}) {
      all.push_back({SignOp::kVote, signcclFloat32, tie == signcclTieZero ? signcclBfloat16 : signcclBits, zero, tie});
    }
    all.push_back({SignOp::kAvg, signcclBfloat16, signcclFloat32, zero, signcclTieZero});
  }
  return all;
}

/// The buffers of a rank for all cases, and what the replays of a graph with all of them must give.
class GraphMatrix {
 public:
  GraphMatrix(int nranks, std::size_t count, std::vector<Case> cases)
      : nranks_(nranks), count_(count), cases_(std::move(cases)) {
    for (const Case& tested : cases_) {
      send_.push_back(std::make_unique<DeviceBuffer>(bufferBytes(tested.sendtype, count)));
      recv_.push_back(std::make_unique<DeviceBuffer>(bufferBytes(tested.recvtype, count)));
    }
  }

  void enqueue(signcclComm_t comm, const Stream& stream) const {
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      ASSERT_EQ(callOn(cases_[i], send_[i]->data(), recv_[i]->data(), count_, comm, stream.get()), signcclSuccess)
          << signcclGetLastError(nullptr);
    }
  }
  void fill(int rank, std::uint64_t replay) const {
    for (std::size_t i = 0; i < cases_.size(); ++i) send_[i]->put(input(i, rank, replay));
  }
  /// docs/semantics.md: a call that was captured as number c has number c + 2^32 r in replay r.
  void expectResult(std::uint64_t first_call, std::uint64_t replay) const {
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      std::vector<std::vector<std::byte>> inputs;
      for (int rank = 0; rank < nranks_; ++rank) inputs.push_back(input(i, rank, replay));
      const std::uint64_t call = first_call + i + replay * 0x1'0000'0000U;
      EXPECT_EQ(recv_[i]->get(), expectedResult(cases_[i], inputs, count_, call))
          << cases_[i].name() << ", count " << count_ << ", replay " << replay;
      EXPECT_TRUE(recv_[i]->isIntact());
    }
  }

 private:
  [[nodiscard]] std::vector<std::byte> input(std::size_t number, int rank, std::uint64_t replay) const {
    return makeInput(cases_[number].sendtype, count_, number * 1000 + replay * 10 + static_cast<std::uint64_t>(rank));
  }

  int nranks_;
  std::size_t count_;
  std::vector<Case> cases_;
  std::vector<std::unique_ptr<DeviceBuffer>> send_;
  std::vector<std::unique_ptr<DeviceBuffer>> recv_;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_STREAM_GRAPH_MATRIX_H_
