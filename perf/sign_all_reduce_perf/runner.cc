// SPDX-License-Identifier: Apache-2.0
// Timing is that of nccl-tests: warm-up over sizes that double, one untimed call, a barrier, and the host's clock over
// all iterations. Checked calls come after the timed ones and use the same groups, form and placement.
#include "sign_all_reduce_perf/runner.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <system_error>
#include <thread>

#include "cuda/graph.h"
#include "cuda/range.h"
#include "sign_all_reduce_perf/buffers.h"
#include "sign_all_reduce_perf/element_types.h"
#include "sign_all_reduce_perf/host.h"
#include "sign_all_reduce_perf/rank_comm.h"
#include "sign_all_reduce_perf/rank_gpu.h"
#include "sign_all_reduce_perf/rank_group.h"
#include "sign_all_reduce_perf/reference.h"
#include "sign_all_reduce_perf/session.h"

namespace signccl::perf {
namespace {

double average(const std::vector<Figures>& figures, Average how) {
  const auto less = [](const Figures& a, const Figures& b) { return a.seconds < b.seconds; };
  switch (how) {
    case Average::kRank0:
      return figures.front().seconds;
    case Average::kMean:
      return std::accumulate(figures.begin(), figures.end(), 0.0,
                             [](double sum, const Figures& rank) { return sum + rank.seconds; }) /
             static_cast<double>(figures.size());
    case Average::kMin:
      return std::min_element(figures.begin(), figures.end(), less)->seconds;
    case Average::kMax:
      return std::max_element(figures.begin(), figures.end(), less)->seconds;
  }
  return 0;
}

/// The life of one rank, in a thread of its own.
class RankRunner {
 public:
  /// `local` is the number of the rank in its process.
  RankRunner(Session& session, int local)
      : session_(session),
        options_(session.options),
        local_(local),
        rank_(session.job.process() * session.options.nthreads + local),
        gpu_(makeGpu(session, local)),
        comm_(session.options, session.id, rank_, gpu_.get()),
        buffers_(makeBuffers()),
        calls_(static_cast<std::size_t>(session.options.agg_iters)) {}

  void run() {
    reportStart();
    for (int cycle = 0; options_.run_cycles == 0 || cycle < options_.run_cycles; ++cycle) {
      for (const Sweep& sweep : session_.sweeps) runSweep(sweep);
    }
    share().figures.scratch_bytes = comm_.stats().scratchBytes;
    session_.shareFigures();
    comm_.finalize();
  }

  RankComm& comm() { return comm_; }

 private:
  static std::unique_ptr<RankGpu> makeGpu(const Session& session, int local) {
    const std::vector<Gpu>& gpus = session.host.gpus;
    return gpus.empty() ? nullptr : std::make_unique<RankGpu>(gpus[static_cast<std::size_t>(local)].ordinal);
  }

  const Buffers& makeBuffers() {
    const auto allocate = [this](std::size_t bytes) -> std::unique_ptr<ElementMemory> {
      if (gpu_ != nullptr) return gpu_->allocate(bytes);
      return std::make_unique<HostMemory>(bytes);
    };
    return *(share().buffers = std::make_unique<Buffers>(session_.buffer_sizes, allocate));
  }

  Share& share() { return session_.shares[static_cast<std::size_t>(local_)]; }

  void reportStart() {
    if (rank_ != 0) return;
    RunInfo info;
    checkResult(signcclGetVersion(&info.library_version), "signcclGetVersion", nullptr);
    info.kernels = comm_.stats().kernels;
    session_.observer.started(info);
  }

  /// Tells the observer what begins now, and a profiler until the returned object ends.
  [[nodiscard]] Range beginPhase(const Case& c, const char* what) {
    const std::string phase = std::string(typeName(c.sendtype)) + " " + opName(c.op) + " " +
                              std::to_string(payloadBytes(c.sendtype, c.count)) + " B: " + what;
    if (rank_ == 0) session_.observer.phase(phase);
    return Range(phase);
  }

  void runSweep(const Sweep& sweep) {
    warmUp(sweep);
    measureAll(sweep);
  }

  void warmUp(const Sweep& sweep) {
    const Range range = beginPhase(sweep.timed.front(), "warm-up");
    fillBuffers(sweep.timed.back());
    for (const Case& c : sweep.warmup) {
      SlotCycle slots = buffers_.cycle(c, InPlace::kNo);
      for (int i = 0; i < options_.warmup_iters; ++i) issue(issuedCase(c), slots);
      comm_.wait();
    }
  }

  void measureAll(const Sweep& sweep) {
    for (const Case& c : sweep.timed) {
      Row row;
      row.c = c;
      row.size_bytes = payloadBytes(c.sendtype, c.count);
      row.out_of_place = measure(c, InPlace::kNo);
      // In place the sums of one call would be the input of the next one, and they are no signs.
      if (c.op != SignOp::kSum) row.in_place = measure(c, InPlace::kYes);
      if (rank_ == 0) reportRow(row);
    }
  }

  /// Gives what timed calls will read an ordinary content.
  void fillBuffers(Case largest) {
    // A sum takes signs alone, which slots of smaller cases must find between those of the largest, too.
    if (largest.op == SignOp::kSum) largest = buffers_.whole(largest);
    for (const InPlace placement : {InPlace::kNo, InPlace::kYes}) {
      for (std::size_t slot = 0; slot < buffers_.slots(largest); ++slot) {
        fillInput(largest.sendtype, inputValuesOf(largest.op, options_.zero_rule), rank_,
                  static_cast<std::uint32_t>(slot), largest.count, buffers_.input(largest, placement, slot));
        buffers_.publish(largest, placement, slot);
      }
    }
  }

  /// What this rank asks for where all are to do `c`.
  [[nodiscard]] Case issuedCase(Case c) const {
    if (rank_ == options_.disagree_rank && c.count > 0) --c.count;
    return c;
  }

  /// One iteration: a call, or a group of them. Nothing is worked out here that a loop can know before.
  void issue(const Case& issued, SlotCycle& slots) {
    for (CallBuffers& call : calls_) call = slots.next();
    comm_.issue(issued, calls_, slots.nslots());
  }

  Measurement measure(const Case& c, InPlace placement) {
    timeIterations(c, placement);
    checkIterations(c, placement);
    session_.shareFigures();
    Measurement result;
    const double seconds = average(session_.figures, options_.average);
    const int nranks = options_.nranks;
    result.time_us = seconds * 1e6;
    result.algbw = static_cast<double>(payloadBytes(c.sendtype, c.count)) / seconds / 1e9;
    result.busbw = result.algbw * 2 * (nranks - 1) / nranks;
    result.wirebw = mostSentBytes() / seconds / 1e9;
    if (options_.check_iters > 0) result.nwrong = wrongOfAllRanks();
    return result;
  }

  /// By the rank that sends most, in one call.
  [[nodiscard]] double mostSentBytes() const {
    return std::ranges::max_element(session_.figures, {}, &Figures::sent_bytes)->sent_bytes;
  }

  [[nodiscard]] std::uint64_t wrongOfAllRanks() const {
    return std::accumulate(session_.figures.begin(), session_.figures.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const Figures& rank) { return sum + rank.nwrong; });
  }

  /// The timed iterations: what makes them, or a graph of them.
  struct Work {
    std::function<void()> iterations;
    std::unique_ptr<Graph> graph;
  };

  [[nodiscard]] Work makeWork(const Case& issued, const SlotCycle& slots) {
    Work work;
    work.iterations = [this, issued, next = slots]() mutable {
      for (int i = 0; i < options_.iters; ++i) issue(issued, next);
    };
    if (options_.graph_launches > 0) work.graph = capture(work.iterations);
    return work;
  }

  /// Returns when all ranks of the process have captured theirs. A capture frees what earlier graphs have left, for
  /// which CUDA waits for all streams of the device, and none of those may wait for a rank that has yet to capture.
  std::unique_ptr<Graph> capture(const std::function<void()>& iterations) {
    auto graph = std::make_unique<Graph>(gpu_->stream(), iterations);
    session_.group.barrier();
    return graph;
  }

  /// Carries the work out `ntimes` times, and returns how long that takes.
  std::chrono::duration<double> carryOut(const Work& work, int ntimes) {
    const std::uint64_t counted = comm_.stats().collectives;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < ntimes; ++i) work.graph ? work.graph->launch(gpu_->stream()) : work.iterations();
    comm_.wait();
    const auto end = std::chrono::steady_clock::now();
    const auto ncalls = static_cast<std::uint64_t>(options_.iters) * static_cast<std::uint64_t>(ntimes) * calls_.size();
    if (work.graph) comm_.awaitCount(counted + ncalls);
    return end - start;
  }

  void timeIterations(const Case& c, InPlace placement) {
    const Range range = beginPhase(c, placement == InPlace::kNo ? "timing out of place" : "timing in place");
    const Case issued = issuedCase(c);
    SlotCycle first_slot = buffers_.cycle(c, placement);
    SlotCycle slots = first_slot;
    issue(issued, first_slot);
    comm_.wait();
    const Work work = makeWork(issued, slots);
    if (options_.graph_launches > 0) carryOut(work, 1);  // the first launch waits until all ranks have captured
    session_.barrierOfAll();
    // The barrier wakes one process after the other, which a few short iterations would show.
    if (options_.nprocesses > 1) comm_.meet();
    const int ntimes = std::max(options_.graph_launches, 1);
    const std::uint64_t sent_before = comm_.stats().bytesSent;
    const std::chrono::duration<double> elapsed = carryOut(work, ntimes);
    const auto ncalls = static_cast<double>(options_.iters) * ntimes * static_cast<double>(calls_.size());
    share().figures.seconds = elapsed.count() / ncalls;
    share().figures.sent_bytes = static_cast<double>(comm_.stats().bytesSent - sent_before) / ncalls;
  }

  void checkIterations(const Case& c, InPlace placement) {
    const Range range = beginPhase(c, placement == InPlace::kNo ? "checking out of place" : "checking in place");
    share().figures.nwrong = 0;
    for (int i = 0; i < options_.check_iters; ++i) {
      const std::uint32_t seed = next_seed_;
      next_seed_ += static_cast<std::uint32_t>(calls_.size());
      prepareCheck(c, placement, seed);
      const std::uint64_t sequence = comm_.sequence();
      SlotCycle slots = buffers_.cycle(c, placement);
      issueOnce(issuedCase(c), slots);
      for (std::size_t call = 0; call < calls_.size(); ++call) buffers_.fetch(c, call);
      if (rank_ == options_.corrupt_rank && c.count > 0) *buffers_.output(c, 0) ^= std::byte{1};
      session_.group.barrier();
      share().figures.nwrong += countWrong(c, seed, sequence);
      session_.group.barrier();
    }
  }

  /// One iteration, in the way of the timed ones.
  void issueOnce(const Case& issued, SlotCycle& slots) {
    if (options_.graph_launches == 0) {
      issue(issued, slots);
      return comm_.wait();
    }
    const std::unique_ptr<Graph> graph = capture([&] { issue(issued, slots); });
    graph->launch(gpu_->stream());
    comm_.wait();
  }

  void prepareCheck(const Case& c, InPlace placement, std::uint32_t seed) {
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      // No result has this byte all over, so an element that is not written counts as wrong.
      std::memset(buffers_.output(c, i), 0x5a, bufferBytes(c.recvtype, c.count));
      fillInput(c.sendtype, inputValuesOf(c.op, options_.zero_rule), rank_, seed + static_cast<std::uint32_t>(i),
                c.count, buffers_.input(c, placement, i));
      buffers_.publish(c, placement, i);
    }
  }

  /// Checks this rank's share of the elements in the results of all ranks of its process: signs are summed once per
  /// process, not once per rank.
  std::size_t countWrong(const Case& c, std::uint32_t seed, std::uint64_t sequence) {
    const auto local = static_cast<std::size_t>(local_);
    const std::size_t nlocal = session_.shares.size();
    const std::size_t nwords = (c.count + 63) / 64;
    const std::size_t first = nwords * local / nlocal * 64;
    const std::size_t last = std::min(c.count, nwords * (local + 1) / nlocal * 64);
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
    row.sent_bytes = mostSentBytes();
    if (row.c.count > 0) row.bits_per_element = 8 * row.sent_bytes / static_cast<double>(row.c.count);
    row.algorithm = comm_.stats().algorithm;
    row.iterations = options_.iters;
    row.timestamp = timeOfDay();
    session_.observer.row(row);
  }

  Session& session_;
  const Options& options_;
  const int local_;
  const int rank_;
  std::unique_ptr<RankGpu> gpu_;  // null: buffers are in host memory
  RankComm comm_;
  const Buffers& buffers_;
  std::vector<CallBuffers> calls_;
  std::uint32_t next_seed_ = 0;
};

/// Start of a rank's thread. Whatever fails is kept as the rank's error, and stops the others.
void runRank(Session& session, int local) {
  Share& share = session.shares[static_cast<std::size_t>(local)];
  try {
    session.group.barrier();
    RankRunner runner(session, local);
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

void runThreads(Session& session, std::vector<std::string>& errors) {
  std::vector<std::thread> threads;
  try {
    for (int local = 0; local < session.options.nthreads; ++local) {
      threads.emplace_back(runRank, std::ref(session), local);
    }
  } catch (const std::system_error& error) {
    errors.push_back("starting thread " + std::to_string(threads.size()) + " failed: " + error.what());
    session.group.abort();
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

RunResult runRanks(const Options& options, const std::vector<Sweep>& sweeps, const RunObserver& observer,
                   const Host& host, launch::JobComm& job) {
  RunResult result;
  Session session{options,
                  sweeps,
                  observer,
                  host,
                  job,
                  {},
                  bufferSizes(sweeps, callsInFlight(options)),
                  RankGroup(options.nthreads),
                  std::vector<Share>(static_cast<std::size_t>(options.nthreads)),
                  std::vector<Figures>(static_cast<std::size_t>(options.nranks))};
  try {
    session.id = job.shareUniqueId();
    runThreads(session, result.errors);
  } catch (const std::runtime_error& error) {
    result.errors.emplace_back(error.what());
  }
  for (std::size_t local = 0; local < session.shares.size(); ++local) {
    const std::string& error = session.shares[local].error;
    const std::size_t rank = static_cast<std::size_t>(job.process()) * session.shares.size() + local;
    if (!error.empty()) result.errors.push_back("rank " + std::to_string(rank) + ": " + error);
  }
  if (!result.errors.empty()) job.abort();
  for (const Figures& rank : session.figures) result.scratch_bytes = std::max(result.scratch_bytes, rank.scratch_bytes);
  return result;
}

}  // namespace signccl::perf
