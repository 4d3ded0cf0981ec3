// The baselines' exchange: the exact fp32 mean of the workers' gradients, through shared memory.
#ifndef DIGITS_MEAN_GROUP_H_
#define DIGITS_MEAN_GROUP_H_

#include <barrier>
#include <cstddef>
#include <span>
#include <vector>

namespace digits {

/// Shared by the threads of one run.
class MeanGroup {
 public:
  MeanGroup(int nranks, std::size_t count);

  /// Replaces `values` ([count]) by their mean over the workers, summed in rank order: the same bits on every worker.
  /// Each worker calls it once per step and waits for the others.
  void average(int rank, std::span<float> values);

  /// Lets the other workers go on without this one, which has failed.
  void leave() noexcept;

 private:
  std::vector<std::vector<float>> inputs_;  ///< [nranks][count]
  std::vector<float> mean_;                 ///< [count]
  std::barrier<> barrier_;
};

/// Bytes each of `nranks` workers sends when a ring all-reduce sums `count` fp32 numbers: 2 (nranks - 1) / nranks of
/// them.
double fp32RingBytes(int nranks, std::size_t count);

}  // namespace digits

#endif  // DIGITS_MEAN_GROUP_H_
