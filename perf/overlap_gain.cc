// SPDX-License-Identifier: Apache-2.0
// overlap_gain: what a program gains that computes while a non-blocking vote is under way.
//
//   mpirun -np 2 overlap_gain                        # each rank bound to one core: the thread that votes has none
//   mpirun -np 2 --bind-to none overlap_gain
//
// Every process is a rank. Measured in turn, as medians of the slowest process: a vote; arithmetic in the caller's
// thread that takes as long; both, one after the other; both, with the vote under way during the arithmetic. The gain
// is the part of the shorter one that was hidden: 1 at best, 0 if overlap does nothing.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "launch/command_line.h"
#include "launch/job.h"
#include "sign_all_reduce_perf/rank_comm.h"
#include "signccl/signccl.h"

namespace signccl::perf {
namespace {

using Clock = std::chrono::steady_clock;

struct GainOptions {
  std::size_t count = std::size_t{8} << 20;
  int rounds = 51;
  launch::LaunchOptions launch;
};

/// What the compiler must not leave out.
volatile double sink;

void compute(std::size_t nloops) {
  double x = 1;
  for (std::size_t i = 0; i < nloops; ++i) x = x * 1.0000001 + 1e-9;
  sink = x;
}

double secondsOf(const std::function<void()>& body) {
  const auto start = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The median of the slowest process, in ms.
double slowestMedian(std::vector<double> seconds, launch::JobComm& job) {
  std::ranges::sort(seconds);
  return std::ranges::max(job.allGather(seconds[seconds.size() / 2])) * 1000;
}

/// A rank and its vector.
class Voter {
 public:
  Voter(const GainOptions& options, launch::JobComm& job) : vector_(options.count, 1.0F) {
    checkResult(signcclCommInitRank(&comm_, job.nprocesses(), job.shareUniqueId(), job.process()),
                "signcclCommInitRank", nullptr);
  }
  Voter(const Voter&) = delete;
  Voter& operator=(const Voter&) = delete;
  ~Voter() { signcclCommDestroy(comm_); }

  void vote() {
    checkResult(signcclAllReduceVote(vector_.data(), vector_.data(), vector_.size(), signcclFloat32, signcclFloat32,
                                     nullptr, comm_, nullptr),
                "signcclAllReduceVote", comm_);
  }

  void voteDuring(const std::function<void()>& body) {
    signcclRequest_t request = nullptr;
    checkResult(signcclAllReduceVoteAsync(vector_.data(), vector_.data(), vector_.size(), signcclFloat32,
                                          signcclFloat32, nullptr, comm_, nullptr, &request),
                "signcclAllReduceVoteAsync", comm_);
    body();
    checkResult(signcclRequestWait(&request), "signcclRequestWait", comm_);
  }

 private:
  signcclComm_t comm_ = nullptr;
  std::vector<float> vector_;
};

/// How many loops take as long as a vote does, on this process.
std::size_t loopsOfAVote(Voter& voter, int rounds) {
  constexpr std::size_t kLoops = 100'000;
  std::vector<double> votes;
  std::vector<double> loops;
  for (int round = 0; round < rounds; ++round) {
    votes.push_back(secondsOf([&] { voter.vote(); }));
    loops.push_back(secondsOf([] { compute(kLoops); }));
  }
  const auto median = [](std::vector<double>& values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
  };
  return static_cast<std::size_t>(kLoops * median(votes) / median(loops));
}

int measure(const GainOptions& options, launch::JobComm& job) {
  Voter voter(options, job);
  const std::size_t nloops = loopsOfAVote(voter, options.rounds);
  const auto computing = [nloops] { compute(nloops); };
  const std::array<std::function<void()>, 4> bodies = {[&] { voter.vote(); }, computing,
                                                       [&] {
                                                         voter.vote();
                                                         computing();
                                                       },
                                                       [&] { voter.voteDuring(computing); }};
  std::array<std::vector<double>, bodies.size()> seconds;
  for (int round = 0; round < options.rounds; ++round) {
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      job.barrier();
      seconds[i].push_back(secondsOf(bodies[i]));
    }
  }
  std::array<double, bodies.size()> ms{};
  for (std::size_t i = 0; i < bodies.size(); ++i) ms[i] = slowestMedian(seconds[i], job);
  if (job.isFirst()) {
    std::printf("vote %.2f ms, compute %.2f ms, one after the other %.2f ms, at once %.2f ms: gain %.2f\n", ms[0],
                ms[1], ms[2], ms[3], (ms[2] - ms[3]) / std::min(ms[0], ms[1]));
  }
  return 0;
}

/// `arguments`: those of the command line, the last one first, as CLI11 takes them.
int run(std::vector<std::string> arguments) {
  CLI::App app("What a program gains that computes while a non-blocking vote is under way.", "overlap_gain");
  GainOptions options;
  app.add_option("-c,--count", options.count, "float32 elements of the vector")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 32))
      ->capture_default_str();
  app.add_option("-r,--rounds", options.rounds, "how often each is measured")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  launch::addLaunchOptions(app, options.launch);
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return launch::runJob(launch::planJob(options.launch), "overlap_gain",
                        [&](launch::JobComm& job) { return measure(options, job); });
}

}  // namespace
}  // namespace signccl::perf

int main(int argc, char** argv) {
  try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    std::ranges::reverse(arguments);
    return signccl::perf::run(std::move(arguments));
  } catch (const std::exception& error) {
    std::cerr << "overlap_gain: " << error.what() << '\n';
    return 1;
  }
}
