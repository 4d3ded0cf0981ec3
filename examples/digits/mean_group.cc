#include "mean_group.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

namespace digits {

MeanGroup::MeanGroup(int nlocal, std::size_t count, launch::Exchange& exchange)
    : exchange_(exchange),
      inputs_(static_cast<std::size_t>(nlocal), std::vector<float>(count)),
      mean_(count),
      barrier_(nlocal) {}

void MeanGroup::average(int rank, std::span<float> values) {
  const std::size_t local = static_cast<std::size_t>(rank) % inputs_.size();
  std::ranges::copy(values, inputs_[local].begin());
  barrier_.arrive_and_wait();
  if (exchange_.nprocesses() == 1) {
    averageHere(local);
  } else if (local == 0) {
    averageOverProcesses();
  }
  barrier_.arrive_and_wait();
  std::ranges::copy(mean_, values.begin());
}

/// Each worker's share of the elements.
void MeanGroup::averageHere(std::size_t local) {
  const std::size_t nranks = inputs_.size();
  const std::size_t end = mean_.size() * (local + 1) / nranks;
  for (std::size_t i = mean_.size() * local / nranks; i < end; ++i) {
    float sum = 0;
    for (const std::vector<float>& input : inputs_) sum += input[i];
    mean_[i] = sum / static_cast<float>(nranks);
  }
}

/// Process 0 sums: partial sums of the processes would be rounded in another order than averageHere() rounds.
void MeanGroup::averageOverProcesses() {
  const std::size_t input_bytes = mean_.size() * sizeof(float);
  std::string mine;
  for (const std::vector<float>& input : inputs_) mine.append(reinterpret_cast<const char*>(input.data()), input_bytes);
  const std::vector<std::string> parts = exchange_.gather(mine);
  if (exchange_.isFirst()) {
    std::ranges::fill(mean_, 0.0F);
    std::vector<float> input(mean_.size());
    for (const std::string& part : parts) {
      if (part.size() != mine.size()) throw std::runtime_error("a process has another number of workers or parameters");
      for (std::size_t offset = 0; offset < part.size(); offset += input_bytes) {
        std::memcpy(input.data(), &part[offset], input_bytes);
        for (std::size_t i = 0; i < input.size(); ++i) mean_[i] += input[i];
      }
    }
    const auto nranks = static_cast<float>(parts.size() * inputs_.size());
    for (float& value : mean_) value /= nranks;
  }
  const std::string mean = exchange_.broadcast({reinterpret_cast<const char*>(mean_.data()), input_bytes});
  if (mean.size() != input_bytes) throw std::runtime_error("process 0 has another number of parameters");
  std::memcpy(mean_.data(), mean.data(), input_bytes);
}

void MeanGroup::leave() noexcept { barrier_.arrive_and_drop(); }

double fp32RingBytes(int nranks, std::size_t count) {
  return 2.0 * (nranks - 1) / nranks * static_cast<double>(count * sizeof(float));
}

}  // namespace digits
