// SPDX-License-Identifier: Apache-2.0
#include "schedule/verify/vote_sets.h"

#include <algorithm>
#include <bit>

namespace signccl {
namespace {

constexpr int kBits = 64;

/// Bits `first` to `last` of a word.
std::uint64_t maskOf(int first, int last) {
  const std::uint64_t up_to_last = ~std::uint64_t{0} >> (kBits - 1 - last);
  return up_to_last & (~std::uint64_t{0} << first);
}

}  // namespace

VoteSets::VoteSets(int nranks) : members_(static_cast<std::size_t>((nranks + kBits - 1) / kBits)) {
  for (Rank rank = 0; rank < nranks; ++rank) {
    sets_.push_back({intervals_.size(), 1, 1});
    intervals_.push_back({rank, rank});
  }
}

bool VoteSets::equal(Id a, Id b) const {
  if (a == b) return true;
  return size(a) == size(b) && std::ranges::equal(intervalsOf(a), intervalsOf(b));
}

std::span<const VoteSets::Interval> VoteSets::intervalsOf(Id id) const {
  if (id == kEmpty) return {};
  const Set& set = sets_[static_cast<std::size_t>(id)];
  return std::span(intervals_).subspan(set.first_interval, static_cast<std::size_t>(set.nintervals));
}

Rank VoteSets::add(Id id) {
  for (const Interval& interval : intervalsOf(id)) {
    for (int word = interval.first / kBits; word <= interval.last / kBits; ++word) {
      const int first = std::max(interval.first - word * kBits, 0);
      const int last = std::min(interval.last - word * kBits, kBits - 1);
      const Rank twice = addWord(static_cast<std::size_t>(word), maskOf(first, last));
      if (twice >= 0) return twice;
    }
  }
  return -1;
}

Rank VoteSets::addWord(std::size_t word, std::uint64_t bits) {
  const std::uint64_t twice = members_[word] & bits;
  members_[word] |= bits;
  return twice == 0 ? -1 : static_cast<Rank>(word) * kBits + std::countr_zero(twice);
}

VoteSets::Id VoteSets::take() {
  Set set{intervals_.size(), 0, 0};
  for (std::size_t word = 0; word < members_.size(); ++word) {
    std::uint64_t rest = members_[word];
    set.size += std::popcount(rest);
    const Rank base = static_cast<Rank>(word) * kBits;
    while (rest != 0) {
      const int first = std::countr_zero(rest);
      const int length = std::countr_one(rest >> first);
      rest &= ~maskOf(first, first + length - 1);
      if (first == 0 && set.nintervals > 0 && intervals_.back().last == base - 1) {
        intervals_.back().last = base + length - 1;
        continue;
      }
      intervals_.push_back({base + first, base + first + length - 1});
      ++set.nintervals;
    }
    members_[word] = 0;
  }
  if (set.size == 0) return kEmpty;
  sets_.push_back(set);
  return static_cast<Id>(sets_.size() - 1);
}

}  // namespace signccl
