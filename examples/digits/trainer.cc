// SPDX-License-Identifier: Apache-2.0
#include "trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <mutex>
#include <numbers>
#include <span>
#include <thread>

#include "optimizer.h"

namespace digits {
namespace {

/// A stream of random numbers of its own for each purpose and worker of a run.
std::uint64_t mixSeed(std::uint64_t seed, std::uint64_t purpose) {
  std::uint64_t x = seed * 0x9e3779b97f4a7c15U + purpose;  // splitmix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

enum Purpose : std::uint64_t { kParameters, kShards, kBatches };

/// FNV-1a over the bytes, so that equal hashes mean equal bits, NaN and -0 included.
std::uint64_t hashOf(std::span<const float> values) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const std::byte byte : std::as_bytes(values)) {
    hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3U;
  }
  return hash;
}

float cosineDecay(float start, int step, int steps) {
  return 0.5F * start *
         (1.0F + std::cos(std::numbers::pi_v<float> * static_cast<float>(step) / static_cast<float>(steps)));
}

/// The first exception of any worker.
class FirstError {
 public:
  void set(std::exception_ptr error) {
    const std::scoped_lock lock(mutex_);
    if (!error_) error_ = std::move(error);
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
};

struct WorkerResult {
  std::vector<CurvePoint> curve;  ///< of rank 0 only, which does the measuring
  std::uint64_t bytes_sent = 0;
  std::uint64_t parameters_hash = 0;
};

class Worker {
 public:
  Worker(const RunSettings& settings, const Split& data, const Digits& shard, int rank)
      : settings_(settings),
        data_(data),
        shard_(shard),
        rank_(rank),
        parameters_(model_.initialParameters(mixSeed(settings.seed, kParameters))) {}

  WorkerResult run(Optimizer& optimizer) {
    WorkerResult result;
    BatchSampler sampler(shard_, static_cast<std::size_t>(settings_.batch),
                         mixSeed(settings_.seed, kBatches + static_cast<std::uint64_t>(rank_)));
    std::vector<float> gradient(parameters_.size());
    for (int step = 0; step < settings_.steps; ++step) {
      if (rank_ == 0 && step % settings_.eval_every == 0) result.curve.push_back(measure(step));
      model_.computeGradient(parameters_, sampler.next(), gradient);
      const float learning_rate = cosineDecay(settings_.method.settings.learning_rate, step, settings_.steps);
      optimizer.step(parameters_, gradient, learning_rate);
    }
    if (rank_ == 0) result.curve.push_back(measure(settings_.steps));
    result.bytes_sent = optimizer.bytesSent();
    result.parameters_hash = hashOf(parameters_);
    return result;
  }

  [[nodiscard]] std::size_t parameterCount() const { return parameters_.size(); }

 private:
  CurvePoint measure(int step) {
    return {step, model_.evaluate(parameters_, data_.training), model_.evaluate(parameters_, data_.held_out)};
  }

  const RunSettings& settings_;
  const Split& data_;
  const Digits& shard_;
  int rank_;
  Mlp model_;
  std::vector<float> parameters_;
};

WorkerResult runWorker(Worker& worker, const RunSettings& settings, int rank, const Rendezvous& rendezvous) {
  const auto optimizer = makeOptimizer(settings.method, rank, settings.workers, worker.parameterCount(), rendezvous);
  try {
    return worker.run(*optimizer);
  } catch (...) {
    optimizer->leave();
    throw;
  }
}

/// The workers of this process.
std::vector<WorkerResult> runWorkers(const RunSettings& settings, const Split& data, launch::JobComm& job) {
  const auto shards = shardDigits(data.training, settings.sharding, settings.workers, mixSeed(settings.seed, kShards));
  const int nlocal = settings.workers / job.nprocesses();
  MeanGroup mean(nlocal, Mlp().parameterCount(), job);
  Rendezvous rendezvous{.id = {}, .algorithm = settings.algorithm, .mean = &mean};
  if (settings.method.sendsSigns()) rendezvous.id = job.shareUniqueId();

  std::vector<WorkerResult> results(static_cast<std::size_t>(nlocal));
  FirstError error;
  {
    std::vector<std::jthread> threads;
    threads.reserve(results.size());
    for (int local = 0; local < nlocal; ++local) {
      threads.emplace_back([&, local] {
        const int rank = job.process() * nlocal + local;
        try {
          Worker worker(settings, data, shards[static_cast<std::size_t>(rank)], rank);
          results[static_cast<std::size_t>(local)] = runWorker(worker, settings, rank, rendezvous);
        } catch (...) {
          error.set(std::current_exception());
        }
      });
    }
  }
  error.rethrow();
  return results;
}

/// What all workers have to say in the end: bytes sent and the hash of the parameters of each.
struct Ending {
  std::uint64_t bytes_sent;
  std::uint64_t parameters_hash;
};

std::vector<Ending> shareEndings(const std::vector<WorkerResult>& workers, launch::JobComm& job) {
  std::vector<Ending> mine;
  for (const WorkerResult& worker : workers) mine.push_back({worker.bytes_sent, worker.parameters_hash});
  return job.allGather(std::span<const Ending>(mine));
}

}  // namespace

RunResult train(const RunSettings& settings, const Split& data, launch::JobComm& job) {
  const auto start = std::chrono::steady_clock::now();
  auto workers = runWorkers(settings, data, job);
  const std::vector<Ending> endings = shareEndings(workers, job);
  RunResult result;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.curve = std::move(workers[0].curve);
  result.replicas_agree = std::ranges::all_of(
      endings, [&](const Ending& worker) { return worker.parameters_hash == endings[0].parameters_hash; });
  for (const Ending& worker : endings) {
    result.bytes_per_step += static_cast<double>(worker.bytes_sent) / settings.steps / settings.workers;
  }
  return result;
}

}  // namespace digits
