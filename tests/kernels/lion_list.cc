// SPDX-License-Identifier: Apache-2.0
#include "lion_list.h"

#include <algorithm>
#include <utility>

namespace signccl {
namespace {

/// Elements that are 16 bytes in every type.
constexpr size_t kAligned = 8;

}  // namespace

LionList::LionList(std::vector<ListedTensor> tensors) : tensors_(std::move(tensors)) {
  for (const ListedTensor& tensor : tensors_) {
    first_element_.push_back(elements_ + tensor.offset);
    elements_ = (first_element_.back() + tensor.count) / kAligned * kAligned + 2 * kAligned;
    first_word_.push_back(nwords_ + tensor.words_before);
    nwords_ = first_word_.back() + wordsFor(tensor.count);
  }
}

std::vector<LionEntry> LionList::entries(FloatType type, TestBuffer& buffer) const {
  std::vector<LionEntry> entries;
  for (size_t t = 0; t < size(); ++t) {
    entries.push_back({numbers(type, buffer, {.tensor = t}), tensors_[t].count, first_word_[t], tensors_[t].group});
  }
  return entries;
}

std::vector<TensorPart> LionList::parts(uint64_t begin, uint64_t end) const {
  std::vector<TensorPart> parts;
  for (size_t t = 0; t < size(); ++t) {
    const uint64_t from = std::max(begin, first_word_[t]);
    const uint64_t to = std::min(end, first_word_[t] + wordsFor(tensors_[t].count));
    if (from >= to) continue;
    const size_t first = (from - first_word_[t]) * kWordBits;
    const size_t last = std::min((to - first_word_[t]) * kWordBits, tensors_[t].count);
    parts.push_back({t, first, last - first, from});
  }
  return parts;
}

std::vector<ListedTensor> variousTensors(size_t n, const std::vector<size_t>& counts, uint64_t ngroups,
                                         std::mt19937_64& random) {
  std::vector<ListedTensor> tensors(n);
  for (ListedTensor& tensor : tensors) {
    tensor.count = counts[random() % counts.size()];
    tensor.group = random() % ngroups;
    tensor.has_gradients = random() % 4 != 0;
    if (random() % 4 == 0) tensor.offset = random() % 8;
  }
  return tensors;
}

std::vector<size_t> countsAroundTiles() {
  return {0, 1, 31, 32, 33, 63, 64, 65, 127, 500, 1000, 1023, 1024, 1025, 1088, 2047, 2048, 2049, 3072};
}

}  // namespace signccl
