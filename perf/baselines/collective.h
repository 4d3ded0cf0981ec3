// SPDX-License-Identifier: Apache-2.0
// The collectives that are measured. Each has its buffers and one rank's part of the work.
#ifndef BASELINES_COLLECTIVE_H_
#define BASELINES_COLLECTIVE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace baselines {

enum class InPlace : std::uint8_t { kNo, kYes };

struct Case {
  std::string op;         ///< one of opNames()
  std::size_t count = 0;  ///< elements
  InPlace placement = InPlace::kNo;
};

/// Collectives over all ranks of MPI_COMM_WORLD; every rank makes the same calls in the same order, from one thread.
class Collective {
 public:
  virtual ~Collective() = default;

  /// Fills the input with this rank's test pattern and the output with what no result is.
  virtual void fill() = 0;
  /// One collective from input to output, which are one buffer if in place.
  virtual void run() = 0;
  /// Elements of this rank's output that are not the result for the test pattern of all ranks.
  [[nodiscard]] virtual std::size_t countWrong() const = 0;
  /// Damages one element of the output, for tests of the check.
  virtual void corrupt() = 0;
  /// Of one rank's input.
  [[nodiscard]] virtual std::size_t bytes() const = 0;
};

/// fp32 and int8: MPI_Allreduce with MPI_SUM. bits: the vote on signs of float32 that can be had from MPI: pack,
/// MPI_Alltoall, vote, MPI_Allgather, unpack.
const std::vector<std::string>& opNames();

/// Throws std::length_error for a count that MPI's int cannot hold.
std::unique_ptr<Collective> makeCollective(const Case& c);

}  // namespace baselines

#endif  // BASELINES_COLLECTIVE_H_
