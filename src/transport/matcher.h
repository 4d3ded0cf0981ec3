// SPDX-License-Identifier: Apache-2.0
// Brings messages and the receives that wait for them together, by (source, tag): what every host-driven transport
// does.
#ifndef SIGNCCL_TRANSPORT_MATCHER_H_
#define SIGNCCL_TRANSPORT_MATCHER_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "transport/transport.h"

namespace signccl {

/// Values that are looked up by the source and the tag of a message. Few are searched one after the other, which is
/// fastest; once there are more than that an index over hashes finds them, until the table is empty again. Allocates
/// only to grow beyond the most entries it ever had.
template <typename Value>
class TagTable {
 public:
  /// Keys may occur several times. If it throws, nothing was added and `value` is as it was.
  void add(Rank source, const Tag& tag, Value&& value) {
    if (entries_.size() == entries_.capacity()) entries_.reserve(std::max(kFew, 2 * entries_.size()));
    if (!is_indexed_ && entries_.size() == kFew) buildIndex(4 * kFew);
    if (is_indexed_ && 2 * (entries_.size() + 1) > index_.size()) buildIndex(2 * index_.size());
    entries_.push_back({tag, source, std::move(value)});
    if (is_indexed_) index_[freeSlot(hashOf(entries_.back()))] = position(entries_.size() - 1);
  }

  /// Takes a value out; nothing if there is none. Which one of several is not said.
  std::optional<Value> take(Rank source, const Tag& tag) {
    const std::optional<std::size_t> found = is_indexed_ ? search(source, tag) : scan(source, tag);
    if (!found) return std::nullopt;
    Value value = std::move(entries_[*found].value);
    const std::size_t last = entries_.size() - 1;
    if (is_indexed_) {
      eraseSlot(slotOf(*found));
      if (*found != last) index_[slotOf(last)] = position(*found);
    }
    if (*found != last) entries_[*found] = std::move(entries_[last]);
    entries_.pop_back();
    if (entries_.empty()) is_indexed_ = false;  // all slots are free
    return value;
  }

  template <typename Visit>
  void forEach(const Visit& visit) const {
    for (const Entry& entry : entries_) visit(entry.value);
  }

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Tag tag;
    Rank source = 0;
    Value value;
  };

  static constexpr std::size_t kFew = 64;
  static constexpr std::uint32_t kFree = ~std::uint32_t{0};

  static std::uint32_t position(std::size_t entry) { return static_cast<std::uint32_t>(entry); }

  static std::size_t hash(Rank source, const Tag& tag) {
    constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
    std::uint64_t mixed = static_cast<std::uint64_t>(static_cast<std::uint32_t>(source)) * kOdd;
    for (const std::uint64_t part : {tag.exchange, std::uint64_t{tag.slice} << 32 | tag.ordinal, tag.digest}) {
      mixed = (std::rotl(mixed, 29) ^ part) * kOdd;
    }
    return mixed ^ (mixed >> 32);
  }
  static std::size_t hashOf(const Entry& entry) { return hash(entry.source, entry.tag); }
  static bool fits(const Entry& entry, Rank source, const Tag& tag) {
    return entry.source == source && entry.tag == tag;
  }

  [[nodiscard]] std::optional<std::size_t> scan(Rank source, const Tag& tag) const {
    for (std::size_t entry = 0; entry < entries_.size(); ++entry) {
      if (fits(entries_[entry], source, tag)) return entry;
    }
    return std::nullopt;
  }

  // The index: a power of two of slots, each a position in entries_ or free, at most half of them taken. An entry
  // stands in the first slot from that of its hash on that was free, and no free slot lies between.

  [[nodiscard]] std::size_t mask() const { return index_.size() - 1; }

  [[nodiscard]] std::optional<std::size_t> search(Rank source, const Tag& tag) const {
    for (std::size_t slot = hash(source, tag) & mask(); index_[slot] != kFree; slot = (slot + 1) & mask()) {
      if (fits(entries_[index_[slot]], source, tag)) return index_[slot];
    }
    return std::nullopt;
  }

  [[nodiscard]] std::size_t slotOf(std::size_t entry) const {
    std::size_t slot = hashOf(entries_[entry]) & mask();
    while (index_[slot] != position(entry)) slot = (slot + 1) & mask();
    return slot;
  }

  [[nodiscard]] std::size_t freeSlot(std::size_t hash) const {
    std::size_t slot = hash & mask();
    while (index_[slot] != kFree) slot = (slot + 1) & mask();
    return slot;
  }

  /// Frees a slot and moves up those behind it that would no longer be found.
  void eraseSlot(std::size_t gap) {
    for (std::size_t slot = (gap + 1) & mask(); index_[slot] != kFree; slot = (slot + 1) & mask()) {
      const std::size_t home = hashOf(entries_[index_[slot]]) & mask();
      const bool may_move = ((slot - home) & mask()) >= ((slot - gap) & mask());
      if (!may_move) continue;
      index_[gap] = index_[slot];
      gap = slot;
    }
    index_[gap] = kFree;
  }

  void buildIndex(std::size_t nslots) {
    if (index_.size() < nslots) {
      std::vector<std::uint32_t> larger(nslots, kFree);
      index_.swap(larger);
    }
    for (std::size_t entry = 0; entry < entries_.size(); ++entry) {
      index_[freeSlot(hashOf(entries_[entry]))] = position(entry);
    }
    is_indexed_ = true;
  }

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> index_;
  bool is_indexed_ = false;  ///< index_ has all entries; else all its slots are free
};

/// Messages without a receive, and receives without a message. A pair that matches is handed to whoever brings its
/// second half.
template <typename Arrival, typename Posted>
class Matcher {
 public:
  /// A receive is posted: the message that it waits for, or nothing, and it is kept.
  std::optional<Arrival> post(Rank source, const Tag& tag, Posted posted) {
    std::optional<Arrival> arrival = arrivals_.take(source, tag);
    if (!arrival) posted_.add(source, tag, std::move(posted));
    return arrival;
  }

  /// A message arrives: the receive that waits for it, or nothing, and the message is kept. If it throws, the message
  /// is as it was.
  std::optional<Posted> arrive(Rank source, const Tag& tag, Arrival&& arrival) {
    std::optional<Posted> posted = posted_.take(source, tag);
    if (!posted) arrivals_.add(source, tag, std::move(arrival));
    return posted;
  }

  /// Takes the receive that waits for a message which need not be kept if there is none.
  std::optional<Posted> takePosted(Rank source, const Tag& tag) { return posted_.take(source, tag); }

  template <typename Visit>
  void forEachArrival(const Visit& visit) const {
    arrivals_.forEach(visit);
  }

 private:
  TagTable<Arrival> arrivals_;
  TagTable<Posted> posted_;
};

}  // namespace signccl

#endif  // SIGNCCL_TRANSPORT_MATCHER_H_
