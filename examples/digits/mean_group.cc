// SPDX-License-Identifier: Apache-2.0
#include "mean_group.h"

#include <algorithm>

namespace digits {

MeanGroup::MeanGroup(int nlocal, std::size_t count, launch::JobComm& job)
    : job_(job), inputs_(static_cast<std::size_t>(nlocal) * count), mean_(count), barrier_(nlocal) {}

void MeanGroup::average(int rank, std::span<float> values) {
  const std::size_t count = mean_.size();
  const std::size_t nlocal = inputs_.size() / count;
  const std::size_t local = static_cast<std::size_t>(rank) % nlocal;
  std::ranges::copy(values, inputs_.begin() + static_cast<std::ptrdiff_t>(local * count));
  barrier_.arrive_and_wait();
  if (job_.nprocesses() == 1) {
    // Each worker has its share of the elements.
    averageOf(inputs_, count * local / nlocal, count * (local + 1) / nlocal);
  } else if (local == 0) {
    averageOf(job_.allGather(std::span<const float>(inputs_)), 0, count);
  }
  barrier_.arrive_and_wait();
  std::ranges::copy(mean_, values.begin());
}

void MeanGroup::averageOf(std::span<const float> inputs, std::size_t begin, std::size_t end) {
  const std::size_t nranks = inputs.size() / mean_.size();
  for (std::size_t i = begin; i < end; ++i) {
    float sum = 0;
    for (std::size_t rank = 0; rank < nranks; ++rank) sum += inputs[rank * mean_.size() + i];
    mean_[i] = sum / static_cast<float>(nranks);
  }
}

void MeanGroup::leave() noexcept { barrier_.arrive_and_drop(); }

double fp32RingBytes(int nranks, std::size_t count) {
  return 2.0 * (nranks - 1) / nranks * static_cast<double>(count * sizeof(float));
}

}  // namespace digits
