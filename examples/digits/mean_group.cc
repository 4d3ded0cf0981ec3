#include "mean_group.h"

#include <algorithm>

namespace digits {

MeanGroup::MeanGroup(int nranks, std::size_t count)
    : inputs_(static_cast<std::size_t>(nranks), std::vector<float>(count)), mean_(count), barrier_(nranks) {}

void MeanGroup::average(int rank, std::span<float> values) {
  const std::size_t nranks = inputs_.size();
  const auto me = static_cast<std::size_t>(rank);
  std::ranges::copy(values, inputs_[me].begin());
  barrier_.arrive_and_wait();
  const std::size_t end = mean_.size() * (me + 1) / nranks;
  for (std::size_t i = mean_.size() * me / nranks; i < end; ++i) {
    float sum = 0;
    for (const std::vector<float>& input : inputs_) sum += input[i];
    mean_[i] = sum / static_cast<float>(nranks);
  }
  barrier_.arrive_and_wait();
  std::ranges::copy(mean_, values.begin());
}

void MeanGroup::leave() noexcept { barrier_.arrive_and_drop(); }

double fp32RingBytes(int nranks, std::size_t count) {
  return 2.0 * (nranks - 1) / nranks * static_cast<double>(count * sizeof(float));
}

}  // namespace digits
