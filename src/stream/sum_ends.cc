// SPDX-License-Identifier: Apache-2.0
#include "stream/sum_ends.h"

#include <string>

#include "base/error.h"

namespace signccl {
namespace {

[[noreturn]] void throwMisfit(const std::string& whose, int votes_per_rank) {
  throw Error(signcclInvalidArgument, "AllReduceSum on a stream: sendbuff of " + whose +
                                          " holds a value that does not fit; " + expectedSigns(votes_per_rank) +
                                          ". The call has no outcome that could say so");
}

}  // namespace

bool SumEnds::hasTrustedMisfit(std::uint32_t note) const {
  for (std::size_t segment = 0; segment < sum_.nsegments; ++segment) {
    if ((sum_.trusted >> segment & 1U) != 0 && !fits(note, segment)) return true;
  }
  return false;
}

std::uint32_t SumEnds::note(std::size_t /*slice*/) {
  std::uint32_t note = 0;
  for (std::size_t segment = 0; segment < sum_.nsegments; ++segment) {
    const SumFlags::Met& met = memory_->sumFlags().met[segment];
    const bool has_zeros = met.zeros.load(std::memory_order_relaxed) == number_;
    const bool has_others = met.others.load(std::memory_order_relaxed) == number_;
    note |= noteOfSum(segment, (has_zeros ? kMetZeros : 0) | (has_others ? kMetOthers : 0));
  }
  if (hasTrustedMisfit(note)) throwMisfit("rank " + std::to_string(sum_.rank), sum_.votes_per_rank);
  return note;
}

void SumEnds::end(std::size_t slice, std::uint32_t note) {
  if (!sum_.discards_misfits && (note & kPartialNote) != 0) {
    throw Error(signcclInvalidUsage,
                "AllReduceSum: config->misfitRule is 0 (keep) on rank " + std::to_string(sum_.rank) +
                    ", whose buffers are on a device, and 1 (discard) on a rank whose buffers are in host memory; "
                    "expected the same on both");
  }
  if (hasTrustedMisfit(note)) {
    throwMisfit("another rank than rank " + std::to_string(sum_.rank), sum_.votes_per_rank);
  }
  for (std::size_t segment = 0; segment < sum_.nsegments; ++segment) {
    memory_->sumFlags().status[segment].store(fits(note, segment) ? SlotStatus::kOk : SlotStatus::kVetoed,
                                              std::memory_order_relaxed);
  }
  slots_.end(slice, note);
}

void SumEnds::fail() noexcept {
  for (std::size_t segment = 0; segment < sum_.nsegments; ++segment) {
    memory_->sumFlags().status[segment].store(SlotStatus::kFailed, std::memory_order_relaxed);
  }
  slots_.fail();
}

}  // namespace signccl
