// SPDX-License-Identifier: Apache-2.0
#include "simulation.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "schedule/slices.h"
#include "support/rank_threads.h"
#include "support/sign_reference.h"
#include "transport/loopback.h"

namespace signccl {
namespace {

/// An exchange takes milliseconds; one that takes longer than this will not end.
constexpr std::chrono::seconds kPatience{100};

CountRules rulesOf(const ExchangeShape& shape, int nranks) {
  const int votes_per_rank = shape.is_ternary ? 2 : 1;
  const bool has_ties = nranks * votes_per_rank % 2 == 0;
  return {shape.op, nranks, votes_per_rank, shape.op == SignOp::kVote && shape.tie == TieRule::kZero && has_ties};
}

}  // namespace

std::ostream& operator<<(std::ostream& stream, const ExchangeShape& shape) {
  stream << algorithmName(shape.algorithm) << (shape.op == SignOp::kVote ? " vote" : " avg")
         << (shape.is_ternary ? ", ternary" : ", binary") << ", tie rule " << static_cast<int>(shape.tie);
  for (const CallShape& call : shape.calls) {
    stream << "; " << call.count << " elements of type " << static_cast<int>(call.sendtype) << " to "
           << static_cast<int>(call.recvtype) << (call.in_place ? " in place" : "");
  }
  return stream;
}

SimulatedRank::SimulatedRank(Rank rank, const Topology& topology, std::unique_ptr<Transport> transport,
                             const HostEngineOptions& options, TraceBuffer* trace)
    : rank_(rank),
      topology_(topology),
      random_(static_cast<std::uint64_t>(rank) * 1000 + 1),
      options_(options),
      transport_(transport.get()),
      engine_(std::make_unique<HostEngine>(*selectKernels(nullptr), std::move(transport), options, trace)) {}

void SimulatedRank::start(const ExchangeShape& shape, std::uint64_t exchange, std::uint64_t first_call) {
  batch_.clear();
  batch_.exchange = exchange;
  batch_.rules = rulesOf(shape, topology_.nranks());
  batch_.tie = shape.tie;
  calls_.clear();
  for (const CallShape& call : shape.calls) {
    CallBuffers& buffers = calls_.emplace_back();
    const std::size_t send_bytes = elementBytes(call.sendtype, call.count);
    buffers.input.resize(send_bytes);
    fillElements(call.sendtype, call.count, random_, buffers.input.data());
    buffers.in_place = call.in_place;
    buffers.recv_bytes = elementBytes(call.recvtype, call.count);
    buffers.send =
        GuardedBuffer(call.in_place ? std::max(send_bytes, buffers.recv_bytes) : send_bytes, calls_.size() % 8);
    if (send_bytes > 0) std::memcpy(buffers.send.data(), buffers.input.data(), send_bytes);
    if (!call.in_place) buffers.recv = GuardedBuffer(buffers.recv_bytes, (calls_.size() + 3) % 8);
  }
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    const CallShape& call = shape.calls[i];
    CallBuffers& buffers = calls_[i];
    batch_.add({.source = elementSource(call.sendtype, buffers.send.data()),
                .sink = elementSink(call.recvtype, (call.in_place ? buffers.send : buffers.recv).data()),
                .count = call.count,
                .call = first_call + i});
  }
  if (batch_.nwords == 0) return;
  makeEnds();
  plan_ = &planOf(shape.algorithm, batch_.rules);
  startAgain();
}

void SimulatedRank::makeEnds() {
  ends_.reset();
  if (!readiness_) return;
  const std::size_t nslices = sliceCount(batch_.nwords, options_.slice_bytes / sizeof(Word), batch_.rules);
  ends_ = std::make_unique<KernelEnds>(batch_, nslices, *readiness_, random_());
  batch_.ends = ends_.get();
}

const Plan& SimulatedRank::planOf(Algorithm algorithm, const CountRules& rules) {
  const std::tuple key{algorithm, rules.op, rules.votes_per_rank, rules.ternary_result, readiness_.has_value()};
  const auto known = plans_.find(key);
  if (known != plans_.end()) return known->second;
  return plans_
      .emplace(key, compilePlan(buildSchedule(algorithm, rank_, topology_), rules,
                                readiness_ ? EndsKind::kExternal : EndsKind::kOwn))
      .first->second;
}

ConstBytes SimulatedRank::output(std::size_t call) const {
  const CallBuffers& buffers = calls_[call];
  return (buffers.in_place ? buffers.send : buffers.recv).bytes().first(buffers.recv_bytes);
}

bool SimulatedRank::areBuffersIntact() const {
  return std::ranges::all_of(calls_, [](const CallBuffers& b) { return b.send.isIntact() && b.recv.isIntact(); });
}

void SimulatedRank::destroy() {
  engine_.reset();
  calls_.clear();
}

Simulation::Simulation(const Topology& topology, const HostEngineOptions& options, const std::optional<Faults>& faults,
                       TraceWriter* trace)
    : topology_(topology) {
  const auto fabric = std::make_shared<LoopbackFabric>(topology_.nranks());
  for (Rank rank = 0; rank < topology_.nranks(); ++rank) {
    std::unique_ptr<Transport> transport = std::make_unique<LoopbackTransport>(fabric, rank);
    if (faults) {
      Faults own = *faults;
      own.seed += static_cast<std::uint64_t>(rank);
      transport = std::make_unique<FaultyTransport>(std::move(transport), std::move(own));
    }
    TraceBuffer* own_trace = nullptr;
    if (trace != nullptr && rank % 2 == 1) own_trace = traces_.emplace_back(trace->addRank(rank, "simulation")).get();
    ranks_.push_back(std::make_unique<SimulatedRank>(rank, topology_, std::move(transport), options, own_trace));
  }
}

void Simulation::start(Rank rank, const ExchangeShape& shape) { at(rank).start(shape, next_exchange_, next_call_); }

void Simulation::runInTurn(const ExchangeShape& shape) {
  SCOPED_TRACE(::testing::PrintToString(shape) + ", " + std::to_string(nranks()) + " ranks");
  for (Rank rank = 0; rank < nranks(); ++rank) start(rank, shape);
  std::vector<Rank> open(ranks_.size());
  std::iota(open.begin(), open.end(), 0);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!open.empty()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << open.size() << " ranks do not end";
    std::ranges::shuffle(open, random_);
    std::erase_if(open, [&](Rank rank) {
      HostEngine& engine = at(rank).engine();
      if (!engine.finished()) engine.progress();
      return engine.finished();
    });
  }
  expectReference(shape);
}

void Simulation::runInThreads(const ExchangeShape& shape) {
  SCOPED_TRACE(::testing::PrintToString(shape) + ", " + std::to_string(nranks()) + " ranks in threads");
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  runAsRanks(nranks(), [&](Rank rank) {
    start(rank, shape);
    HostEngine& engine = at(rank).engine();
    while (!engine.finished()) {
      if (engine.progress()) continue;
      if (std::chrono::steady_clock::now() >= deadline) return;
      at(rank).transport().wait(std::chrono::microseconds(100));
    }
  });
  for (Rank rank = 0; rank < nranks(); ++rank) ASSERT_TRUE(at(rank).engine().finished()) << "rank " << rank;
  expectReference(shape);
}

void Simulation::repeat() {
  for (const auto& rank : ranks_) rank->startAgain();
  for (bool is_open = true; is_open;) {
    is_open = false;
    for (const auto& rank : ranks_) {
      HostEngine& engine = rank->engine();
      if (!engine.finished()) engine.progress();
      if (!engine.finished()) is_open = true;
    }
  }
}

void Simulation::settle(const std::vector<Rank>& ranks) {
  constexpr int kIdleRounds = 200;
  for (int idle = 0; idle < kIdleRounds; ++idle) {
    for (const Rank rank : ranks) {
      if (!at(rank).engine().finished() && at(rank).engine().progress()) idle = 0;
    }
  }
}

void Simulation::expectReference(const ExchangeShape& shape) {
  for (std::size_t i = 0; i < shape.calls.size(); ++i) {
    const CallShape& call = shape.calls[i];
    std::vector<const std::byte*> inputs;
    for (const auto& rank : ranks_) inputs.push_back(rank->input(i));
    const std::vector<std::byte> expected = referenceResult({.op = shape.op,
                                                             .is_ternary = shape.is_ternary,
                                                             .tie = shape.tie,
                                                             .call = next_call_ + i,
                                                             .count = call.count,
                                                             .sendtype = call.sendtype,
                                                             .recvtype = call.recvtype},
                                                            inputs);
    for (Rank rank = 0; rank < nranks(); ++rank) {
      const ConstBytes output = at(rank).output(i);
      ASSERT_EQ(output.size(), expected.size());
      const auto differing = std::ranges::mismatch(output, expected).in1;
      ASSERT_TRUE(differing == output.end())
          << "rank " << rank << " call " << i << " differs from the reference at byte " << (differing - output.begin())
          << " of " << output.size();
      ASSERT_TRUE(at(rank).areBuffersIntact()) << "rank " << rank << " wrote outside its buffers";
    }
  }
  ++next_exchange_;
  next_call_ += shape.calls.size();
}

}  // namespace signccl
