// SPDX-License-Identifier: Apache-2.0
// Distributed Lion and the two baselines. Each worker has its own optimizer; all keep the same parameters.
#ifndef DIGITS_OPTIMIZER_H_
#define DIGITS_OPTIMIZER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "mean_group.h"
#include "method.h"
#include "sign_group.h"

namespace digits {

/// One worker's side of the training rule.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// Combines the workers and moves `parameters`, on every worker by the same bits. Waits for the other workers.
  ///
  /// @param parameters     [count]
  /// @param gradient       [count] of this worker's batch; overwritten
  /// @param learning_rate  of this step
  virtual void step(std::span<float> parameters, std::span<float> gradient, float learning_rate) = 0;

  /// Bytes this worker has sent so far.
  [[nodiscard]] virtual std::uint64_t bytesSent() const = 0;

  /// Called by a worker that fails, so that the others do not wait for it.
  virtual void leave() noexcept = 0;
};

/// What the optimizers of one run share.
struct Rendezvous {
  signcclUniqueId id;     ///< where signs travel
  std::string algorithm;  ///< by which they do; empty: the library chooses
  MeanGroup* mean;        ///< where gradients, or momenta, are averaged
};

/// Makes worker `rank`'s optimizer; to be called in that worker's thread, by all workers.
std::unique_ptr<Optimizer> makeOptimizer(const Method& method, int rank, int nranks, std::size_t count,
                                         const Rendezvous& rendezvous);

}  // namespace digits

#endif  // DIGITS_OPTIMIZER_H_
