// Timing is that of nccl-tests: warm-up over sizes that double, one untimed call, a barrier, and the host's clock over
// all iterations. Checked calls come after the timed ones and use the same groups, form and placement.
#include "sign_all_reduce_perf/runner.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <numeric>
#include <system_error>
#include <thread>

#include "sign_all_reduce_perf/buffers.h"
#include "sign_all_reduce_perf/element_types.h"
#include "sign_all_reduce_perf/host.h"
#include "sign_all_reduce_perf/rank_comm.h"
#include "sign_all_reduce_perf/rank_group.h"
#include "sign_all_reduce_perf/reference.h"

namespace signccl::perf {
namespace {

/// What one rank tells the others; read by them after a barrier.
struct Share {
  std::unique_ptr<Buffers> buffers;  // lives until all ranks have ended
  double seconds = 0;
  std::uint64_t nwrong = 0;
  double sent_bytes = 0;
  std::uint64_t scratch_bytes = 0;
  std::string error;
};

struct Session {
  const Options& options;
  const std::vector<Sweep>& sweeps;
  const RunObserver& observer;
  signcclUniqueId id;
  BufferSizes buffer_sizes;
  RankGroup group;
  std::vector<Share> shares;
};

double average(const std::vector<Share>& shares, Average how) {
  const auto less = [](const Share& a, const Share& b) { return a.seconds < b.seconds; };
  switch (how) {
    case Average::kRank0:
      return shares.front().seconds;
    case Average::kMean:
      return std::accumulate(shares.begin(), shares.end(), 0.0,
                             [](double sum, const Share& share) { return sum + share.seconds; }) /
             static_cast<double>(shares.size());
    case Average::kMin:
      return std::min_element(shares.begin(), shares.end(), less)->seconds;
    case Average::kMax:
      return std::max_element(shares.begin(), shares.end(), less)->seconds;
  }
  return 0;
}

/// The life of one rank, in a thread of its own.
class RankRunner {
 public:
  RankRunner(Session& session, int rank)
      : session_(session),
        options_(session.options),
        rank_(rank),
        comm_(session.options, session.id, rank),
        buffers_(*(share().buffers = std::make_unique<Buffers>(session.buffer_sizes))),
        calls_(static_cast<std::size_t>(session.options.agg_iters)) {}

  void run() {
    reportStart();
    for (int cycle = 0; options_.run_cycles == 0 || cycle < options_.run_cycles; ++cycle) {
      for (const Sweep& sweep : session_.sweeps) runSweep(sweep);
    }
    share().scratch_bytes = comm_.stats().scratchBytes;
    comm_.finalize();
  }

  RankComm& comm() { return comm_; }

 private:
  Share& share() { return session_.shares[static_cast<std::size_t>(rank_)]; }

  void reportStart() {
    if (rank_ != 0) return;
    RunInfo info;
    checkResult(signcclGetVersion(&info.library_version), "signcclGetVersion", nullptr);
    info.kernels = comm_.stats().kernels;
    session_.observer.started(info);
  }

  void reportPhase(const Case& c, const char* what) {
    if (rank_ != 0) return;
    session_.observer.phase(std::string(typeName(c.sendtype)) + " " + opName(c.op) + " " +
                            std::to_string(payloadBytes(c.sendtype, c.count)) + " B: " + what);
  }

  void runSweep(const Sweep& sweep) {
    reportPhase(sweep.timed.front(), "warm-up");
    fillBuffers(sweep.timed.back());
    for (const Case& c : sweep.warmup) {
      for (int i = 0; i < options_.warmup_iters; ++i) issue(c, Placement::kOutOfPlace, static_cast<std::size_t>(i));
      comm_.wait();
    }
    for (const Case& c : sweep.timed) {
      Row row;
      row.c = c;
      row.size_bytes = payloadBytes(c.sendtype, c.count);
      row.out_of_place = measure(c, Placement::kOutOfPlace);
      row.in_place = measure(c, Placement::kInPlace);
      if (rank_ == 0) reportRow(row);
    }
  }

  /// Gives what timed calls will read an ordinary content.
  void fillBuffers(const Case& largest) {
    for (const Placement placement : {Placement::kOutOfPlace, Placement::kInPlace}) {
      for (std::size_t slot = 0; slot < buffers_.slots(largest); ++slot) {
        fillInput(largest.sendtype, rank_, static_cast<std::uint32_t>(slot), largest.count,
                  buffers_.input(largest, placement, slot));
      }
    }
  }

  /// Iteration `iteration`: one call, or a group of them.
  void issue(const Case& c, Placement placement, std::size_t iteration) {
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      const std::size_t call = iteration * calls_.size() + i;
      calls_[i] = {buffers_.input(c, placement, call), buffers_.output(c, call)};
    }
    Case issued = c;
    if (rank_ == options_.disagree_rank && c.count > 0) --issued.count;
    comm_.issue(issued, calls_, buffers_.slots(c));
  }

  Measurement measure(const Case& c, Placement placement) {
    reportPhase(c, placement == Placement::kOutOfPlace ? "timing out of place" : "timing in place");
    timeIterations(c, placement);
    reportPhase(c, placement == Placement::kOutOfPlace ? "checking out of place" : "checking in place");
    checkIterations(c, placement);
    session_.group.barrier();
    Measurement result;
    const double seconds = average(session_.shares, options_.average);
    const int nranks = options_.nranks;
    result.time_us = seconds * 1e6;
    result.algbw = static_cast<double>(payloadBytes(c.sendtype, c.count)) / seconds / 1e9;
    result.busbw = result.algbw * 2 * (nranks - 1) / nranks;
    if (options_.check_iters > 0) result.nwrong = wrongOfAllRanks();
    session_.group.barrier();
    return result;
  }

  [[nodiscard]] std::uint64_t wrongOfAllRanks() const {
    return std::accumulate(session_.shares.begin(), session_.shares.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const Share& share) { return sum + share.nwrong; });
  }

  void timeIterations(const Case& c, Placement placement) {
    issue(c, placement, 0);
    comm_.wait();
    const std::uint64_t sent_before = comm_.stats().bytesSent;
    const auto iterations = static_cast<std::size_t>(options_.iters);
    session_.group.barrier();
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < iterations; ++i) issue(c, placement, i);
    comm_.wait();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    const auto ncalls = static_cast<double>(iterations * calls_.size());
    share().seconds = elapsed.count() / ncalls;
    share().sent_bytes = static_cast<double>(comm_.stats().bytesSent - sent_before) / ncalls;
  }

  void checkIterations(const Case& c, Placement placement) {
    share().nwrong = 0;
    for (int i = 0; i < options_.check_iters; ++i) {
      const std::uint32_t seed = next_seed_;
      next_seed_ += static_cast<std::uint32_t>(calls_.size());
      prepareCheck(c, placement, seed);
      const std::uint64_t sequence = comm_.sequence();
      issue(c, placement, 0);
      comm_.wait();
      if (rank_ == options_.corrupt_rank && c.count > 0) *buffers_.output(c, 0) ^= std::byte{1};
      session_.group.barrier();
      share().nwrong += countWrong(c, seed, sequence);
      session_.group.barrier();
    }
  }

  void prepareCheck(const Case& c, Placement placement, std::uint32_t seed) {
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      // No result has this byte all over, so an element that is not written counts as wrong.
      std::memset(buffers_.output(c, i), 0x5a, bufferBytes(c.recvtype, c.count));
      fillInput(c.sendtype, rank_, seed + static_cast<std::uint32_t>(i), c.count, buffers_.input(c, placement, i));
    }
  }

  /// Checks this rank's share of the elements in the results of all ranks: signs are summed once, not once per rank.
  std::size_t countWrong(const Case& c, std::uint32_t seed, std::uint64_t sequence) {
    const auto rank = static_cast<std::size_t>(rank_);
    const auto nranks = static_cast<std::size_t>(options_.nranks);
    const std::size_t nwords = (c.count + 63) / 64;
    const std::size_t first = nwords * rank / nranks * 64;
    const std::size_t last = std::min(c.count, nwords * (rank + 1) / nranks * 64);
    std::size_t nwrong = 0;
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      const Reference reference({c.op, c.sendtype, c.recvtype, options_.zero_rule, options_.tie_rule, options_.nranks,
                                 c.count, sequence + i, seed + static_cast<std::uint32_t>(i)});
      std::vector<const std::byte*> outputs;
      outputs.reserve(session_.shares.size());
      for (const Share& other : session_.shares) outputs.push_back(other.buffers->output(c, i));
      nwrong += reference.countWrong(outputs, first, last);
    }
    return nwrong;
  }

  void reportRow(Row& row) {
    for (const Share& other : session_.shares) row.sent_bytes = std::max(row.sent_bytes, other.sent_bytes);
    if (row.c.count > 0) row.bits_per_element = 8 * row.sent_bytes / static_cast<double>(row.c.count);
    row.algorithm = comm_.stats().algorithm;
    row.iterations = options_.iters;
    row.timestamp = timeOfDay();
    session_.observer.row(row);
  }

  Session& session_;
  const Options& options_;
  const int rank_;
  RankComm comm_;
  const Buffers& buffers_;
  std::vector<CallBuffers> calls_;
  std::uint32_t next_seed_ = 0;
};

/// Start of a rank's thread. Whatever fails is kept as the rank's error, and stops the others.
void runRank(Session& session, int rank) {
  Share& share = session.shares[static_cast<std::size_t>(rank)];
  try {
    session.group.barrier();
    RankRunner runner(session, rank);
    try {
      session.group.barrier();
      runner.run();
      session.group.barrier();
    } catch (const std::exception& error) {
      share.error = error.what();
      session.group.abort();
      runner.comm().abort();
    }
  } catch (const std::exception& error) {
    share.error = error.what();
    session.group.abort();
  }
}

}  // namespace

RunResult runRanks(const Options& options, const std::vector<Sweep>& sweeps, const RunObserver& observer) {
  RunResult result;
  const auto nranks = static_cast<std::size_t>(options.nranks);
  Session session{options,
                  sweeps,
                  observer,
                  {},
                  bufferSizes(sweeps, callsInFlight(options)),
                  RankGroup(options.nranks),
                  std::vector<Share>(nranks)};
  try {
    checkResult(signcclGetUniqueId(&session.id), "signcclGetUniqueId", nullptr);
  } catch (const CallFailed& error) {
    return {{error.what()}, 0};
  }
  std::vector<std::thread> threads;
  try {
    for (int rank = 0; rank < options.nranks; ++rank) threads.emplace_back(runRank, std::ref(session), rank);
  } catch (const std::system_error& error) {
    result.errors.push_back("starting a thread for rank " + std::to_string(threads.size()) +
                            " failed: " + error.what());
    session.group.abort();
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t rank = 0; rank < nranks; ++rank) {
    const Share& share = session.shares[rank];
    if (!share.error.empty()) result.errors.push_back("rank " + std::to_string(rank) + ": " + share.error);
    result.scratch_bytes = std::max(result.scratch_bytes, share.scratch_bytes);
  }
  return result;
}

}  // namespace signccl::perf
