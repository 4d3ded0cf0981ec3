// SPDX-License-Identifier: Apache-2.0
// A group of engines with users' buffers: runs exchanges on all ranks and compares every rank's result with the
// reference.
#ifndef SIGNCCL_TESTS_EXEC_SIMULATION_H_
#define SIGNCCL_TESTS_EXEC_SIMULATION_H_

#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <tuple>
#include <vector>

#include "exec/host_engine.h"
#include "kernel_ends.h"
#include "schedule/algorithm.h"
#include "support/faulty_transport.h"
#include "support/guarded_buffer.h"
#include "topology/topology.h"

namespace signccl {

/// The shape of one call of an exchange.
struct CallShape {
  std::size_t count = 0;
  ElementType sendtype = ElementType::kFloat32;
  ElementType recvtype = ElementType::kFloat32;
  bool in_place = false;
};

struct ExchangeShape {
  Algorithm algorithm = Algorithm::kDirect;
  SignOp op = SignOp::kVote;
  bool is_ternary = false;
  TieRule tie = TieRule::kRandom;
  std::vector<CallShape> calls;
};
std::ostream& operator<<(std::ostream& stream, const ExchangeShape& shape);

/// One rank: its engine, what it executes with, and its buffers.
class SimulatedRank {
 public:
  SimulatedRank(Rank rank, const Topology& topology, std::unique_ptr<Transport> transport,
                const HostEngineOptions& options, TraceBuffer* trace);

  /// From now on signs and results pass through memory, and signs come as late as `readiness` says; see KernelEnds.
  void useExternalEnds(double readiness) { readiness_ = readiness; }
  /// Of the last exchange; null if it had none.
  [[nodiscard]] const KernelEnds* ends() const { return ends_.get(); }

  /// Draws new inputs and begins the exchange. Calls are numbered from `first_call` on.
  void start(const ExchangeShape& shape, std::uint64_t exchange, std::uint64_t first_call);

  /// Begins the last exchange once more, with the same inputs.
  void startAgain() { engine_->start(*plan_, batch_); }

  [[nodiscard]] HostEngine& engine() { return *engine_; }
  [[nodiscard]] Transport& transport() { return *transport_; }
  [[nodiscard]] const Batch& batch() const { return batch_; }
  /// Of one call: what was in the send buffer at the start, and what is in the receive buffer now.
  [[nodiscard]] const std::byte* input(std::size_t call) const { return calls_[call].input.data(); }
  [[nodiscard]] ConstBytes output(std::size_t call) const;
  [[nodiscard]] bool areBuffersIntact() const;

  /// Ends the engine, with whatever is under way, and frees the buffers.
  void destroy();

 private:
  struct CallBuffers {
    std::vector<std::byte> input;
    GuardedBuffer send;  ///< also receives in place
    GuardedBuffer recv;
    std::size_t recv_bytes = 0;
    bool in_place = false;
  };

  const Plan& planOf(Algorithm algorithm, const CountRules& rules);
  void makeEnds();

  Rank rank_;
  const Topology& topology_;
  std::mt19937_64 random_;
  HostEngineOptions options_;
  std::optional<double> readiness_;
  std::map<std::tuple<Algorithm, SignOp, int, bool, bool>, Plan> plans_;
  const Plan* plan_ = nullptr;  ///< of the last exchange, which had elements
  Batch batch_;
  std::unique_ptr<KernelEnds> ends_;
  std::vector<CallBuffers> calls_;
  Transport* transport_;  ///< of engine_
  std::unique_ptr<HostEngine> engine_;
};

class Simulation {
 public:
  /// Ranks connected by a loopback transport, with faults if they are given; rank r's seed is r higher. The ranks whose
  /// numbers are odd are traced if there is a writer, which must then outlive the simulation.
  Simulation(const Topology& topology, const HostEngineOptions& options, const std::optional<Faults>& faults = {},
             TraceWriter* trace = nullptr);

  /// Runs an exchange, moving the ranks on in turn in one thread, in an order that changes. Fails the test if a rank
  /// does not end, gets other bits than the reference, or writes outside its buffers.
  void runInTurn(const ExchangeShape& shape);

  /// The same with a thread per rank.
  void runInThreads(const ExchangeShape& shape);

  /// Runs the last exchange once more, in one thread, without a look at the results.
  void repeat();

  /// Begins an exchange on one rank.
  void start(Rank rank, const ExchangeShape& shape);

  /// Moves the ranks on in turn until nothing has moved for a while.
  void settle(const std::vector<Rank>& ranks);

  [[nodiscard]] SimulatedRank& at(Rank rank) { return *ranks_[static_cast<std::size_t>(rank)]; }
  [[nodiscard]] int nranks() const { return topology_.nranks(); }

 private:
  void expectReference(const ExchangeShape& shape);

  const Topology topology_;
  std::vector<std::unique_ptr<TraceBuffer>> traces_;
  std::vector<std::unique_ptr<SimulatedRank>> ranks_;
  std::mt19937_64 random_{11};
  std::uint64_t next_exchange_ = 0;
  std::uint64_t next_call_ = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_EXEC_SIMULATION_H_
