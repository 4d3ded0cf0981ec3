// SPDX-License-Identifier: Apache-2.0
#include "lion/kept_signs.h"

#include <algorithm>

namespace signccl {
namespace {

constexpr std::size_t kBits = 64;

std::size_t marksFor(std::size_t nwords) { return (nwords + kBits - 1) / kBits; }

}  // namespace

KeptSigns::KeptSigns(std::size_t nwords, bool is_ternary)
    : nwords_(nwords),
      nonnegative_(nwords),
      positive_(is_ternary ? nwords : 0),
      has_(std::make_unique<std::atomic<std::uint64_t>[]>(marksFor(nwords))) {}

void KeptSigns::clear() {
  for (std::size_t i = 0; i < marksFor(nwords_); ++i) has_[i].store(0, std::memory_order_relaxed);
}

bool KeptSigns::has(std::size_t word) const {
  return ((has_[word / kBits].load(std::memory_order_relaxed) >> (word % kBits)) & 1) != 0;
}

void KeptSigns::keep(std::size_t first, std::size_t nwords, const Word* positive, const Word* nonnegative) {
  const auto to = static_cast<std::ptrdiff_t>(first);
  std::copy_n(nonnegative, nwords, nonnegative_.begin() + to);
  if (positive != nullptr) std::copy_n(positive, nwords, positive_.begin() + to);
  // Ranges of two threads may share a mark.
  const std::size_t end = first + nwords;
  for (std::size_t word = first; word < end;) {
    const std::size_t bit = word % kBits;
    const std::size_t nbits = std::min(kBits - bit, end - word);
    const std::uint64_t ones = ~std::uint64_t{0} >> (kBits - nbits);
    has_[word / kBits].fetch_or(ones << bit, std::memory_order_relaxed);
    word += nbits;
  }
}

void KeptSigns::give(std::size_t first, std::size_t nwords, Word* positive, Word* nonnegative) const {
  const auto from = static_cast<std::ptrdiff_t>(first);
  std::copy_n(nonnegative_.begin() + from, nwords, nonnegative);
  if (positive != nullptr) std::copy_n(positive_.begin() + from, nwords, positive);
}

}  // namespace signccl
