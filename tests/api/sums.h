// SPDX-License-Identifier: Apache-2.0
// A sum of all ranks of a test as a user calls it, and what it must give: the reference of tests/support.
#ifndef SIGNCCL_TESTS_API_SUMS_H_
#define SIGNCCL_TESTS_API_SUMS_H_

#include <algorithm>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ranks.h"
#include "signccl/signccl.h"
#include "support/guarded_buffer.h"
#include "support/sum_reference.h"

namespace signccl {

inline signcclDataType_t dataTypeOf(ElementType type) {
  switch (type) {
    case ElementType::kInt8:
      return signcclInt8;
    case ElementType::kFloat16:
      return signcclFloat16;
    case ElementType::kFloat32:
      return signcclFloat32;
    case ElementType::kFloat64:
      return signcclFloat64;
    case ElementType::kBFloat16:
      return signcclBfloat16;
    case ElementType::kInt16:
    case ElementType::kInt32:
    case ElementType::kBits:
      break;
  }
  throw std::logic_error("no type of a sum");
}

/// The buffers of one sum, with random signs that fit its zero rule until put() changes one.
class SumJob {
 public:
  SumJob(Ranks& ranks, ElementType type, std::size_t count, int zero, std::mt19937_64& random)
      : ranks_(ranks), type_(type), count_(count), zero_(zero) {
    inputs_.resize(static_cast<std::size_t>(ranks.size()));
    for (std::vector<std::byte>& input : inputs_) {
      input.resize(elementBytes(type, count));
      fillSigns(type, count, zero == signcclZeroTernary, random, input.data());
    }
    offset_ = random() % 67;
  }

  [[nodiscard]] ElementType type() const { return type_; }
  [[nodiscard]] int zero() const { return zero_; }
  [[nodiscard]] const signcclSumOutcome_t& outcome(int rank) const { return outcomes_[static_cast<std::size_t>(rank)]; }

  void put(int rank, std::size_t index, const StrangeValue& value) {
    putPattern(type_, value.pattern, inputs_[static_cast<std::size_t>(rank)].data(), index);
    misfits_.push_back(rank);
    values_ = std::max(values_, value.pattern == 0 ? int{signcclValuesZeros} : int{signcclValuesOther});
  }

  /// Which ranks discard what does not fit.
  enum class Discarding { kNone, kOdd, kAll };

  /// Makes the call on all ranks, from one thread.
  void run(bool in_place, Discarding discarding = Discarding::kNone) {
    discarding_ = discarding;
    is_in_place_ = in_place;
    outcomes_.assign(inputs_.size(), SIGNCCL_SUM_OUTCOME_INITIALIZER);
    sends_.clear();
    recvs_.clear();
    signcclSignConfig_t config = SIGNCCL_SIGN_CONFIG_INITIALIZER;
    config.zeroRule = zero_;
    ASSERT_EQ(signcclGroupStart(), signcclSuccess);
    for (std::size_t rank = 0; rank < inputs_.size(); ++rank) {
      sends_.emplace_back(inputs_[rank].size(), offset_ + rank);
      std::ranges::copy(inputs_[rank], sends_[rank].data());
      recvs_.emplace_back(inputs_[rank].size(), offset_ + 3 * rank);
    }
    for (std::size_t rank = 0; rank < inputs_.size(); ++rank) {
      std::byte* const recv = in_place ? sends_[rank].data() : recvs_[rank].data();
      config.misfitRule = discards(rank) ? signcclMisfitDiscard : signcclMisfitKeep;
      ASSERT_EQ(signcclAllReduceSum(sends_[rank].data(), recv, count_, dataTypeOf(type_), &config,
                                    ranks_[static_cast<int>(rank)], nullptr, &outcomes_[rank]),
                signcclSuccess)
          << signcclGetLastError(nullptr);
    }
    ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
  }

  /// Every rank has the sums of the reference.
  void expectSums() const {
    const std::vector<std::byte> expected = sums();
    for (std::size_t rank = 0; rank < inputs_.size(); ++rank) {
      const GuardedBuffer& got = is_in_place_ ? sends_[rank] : recvs_[rank];
      ASSERT_TRUE(std::ranges::equal(got.bytes(), expected)) << name() << ", rank " << rank;
      ASSERT_TRUE(got.isIntact()) << name() << ", rank " << rank;
      ASSERT_EQ(outcomes_[rank].isWritten, 1) << name();
      ASSERT_EQ(outcomes_[rank].firstIndex, -1) << name();
      ASSERT_LE(outcomes_[rank].values, zero_ == signcclZeroBinary ? signcclValuesSigns : signcclValuesZeros) << name();
    }
  }

  /// No rank has written anything that it keeps, and all know why.
  void expectRefusal() const {
    const std::vector<std::byte> untouched(elementBytes(type_, count_), std::byte{0xA5});
    for (std::size_t rank = 0; rank < inputs_.size(); ++rank) {
      const bool is_lost = discards(rank) && is_in_place_;
      const bool is_own = std::ranges::count(misfits_, static_cast<int>(rank)) > 0 && !is_lost;
      ASSERT_TRUE(is_lost || std::ranges::equal(sends_[rank].bytes(), inputs_[rank])) << name() << ", rank " << rank;
      ASSERT_TRUE((discards(rank) && !is_in_place_) || std::ranges::equal(recvs_[rank].bytes(), untouched))
          << name() << ", rank " << rank;
      ASSERT_TRUE(sends_[rank].isIntact() && recvs_[rank].isIntact()) << name() << ", rank " << rank;
      ASSERT_EQ(outcomes_[rank].isWritten, 0) << name() << ", rank " << rank;
      ASSERT_EQ(outcomes_[rank].values, values_) << name() << ", rank " << rank;
      ASSERT_EQ(outcomes_[rank].firstIndex >= 0, is_own) << name() << ", rank " << rank;
    }
  }

 private:
  [[nodiscard]] bool discards(std::size_t rank) const {
    return discarding_ == Discarding::kAll || (discarding_ == Discarding::kOdd && rank % 2 == 1);
  }

  [[nodiscard]] std::vector<std::byte> sums() const {
    std::vector<const std::byte*> inputs;
    for (const auto& input : inputs_) inputs.push_back(input.data());
    return referenceSum(type_, count_, inputs);
  }

  [[nodiscard]] std::string name() const {
    return std::to_string(count_) + " elements of type " + std::to_string(static_cast<int>(type_)) + ", zero rule " +
           std::to_string(zero_) + (is_in_place_ ? ", in place" : "") + ", discarding " +
           std::to_string(static_cast<int>(discarding_));
  }

  Ranks& ranks_;
  ElementType type_;
  std::size_t count_;
  int zero_;
  std::size_t offset_ = 0;
  bool is_in_place_ = false;
  Discarding discarding_ = Discarding::kNone;
  std::vector<std::vector<std::byte>> inputs_;
  std::vector<GuardedBuffer> sends_;
  std::vector<GuardedBuffer> recvs_;
  std::vector<signcclSumOutcome_t> outcomes_;
  std::vector<int> misfits_;
  int values_ = signcclValuesSigns;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_API_SUMS_H_
