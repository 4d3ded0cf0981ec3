// SPDX-License-Identifier: Apache-2.0
// executor_overhead: how much longer a collective takes than the kernels that do its work.
//
// Measures two things in turn, in one process and on the same buffers, and compares their medians:
//   wall     a vote over all elements through the public API, every rank a thread; from the moment when all ranks begin
//            until the last one has its result.
//   kernels  the same vote by kernels alone: no messages, no waiting, no hand-over. For every slice: every rank encodes
//            its elements; the word range of the slice is cut into one chunk per rank as in the algorithm `direct`, and
//            each chunk is counted from all ranks' signs and decided once; every rank decodes the result. As many
//            threads as there are cores share the slices, so that the kernels compete for memory as they do in the
//            collective. The time is the sum of the time inside kernels over all threads, divided by the number of
//            cores.
// The ratio wall / kernels is the overhead of everything that is not a kernel, idle cores included. Both sides use the
// same kernels (SIGNCCL_KERNELS), slice size and kind of store.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <numeric>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "kernels/kernels.h"
#include "kernels/random_ties.h"
#include "sign_all_reduce_perf/buffers.h"
#include "sign_all_reduce_perf/rank_comm.h"
#include "sign_all_reduce_perf/rank_group.h"
#include "sign_all_reduce_perf/reference.h"
#include "signccl/signccl.h"

namespace signccl::perf {
namespace {

using Clock = std::chrono::steady_clock;

struct OverheadOptions {
  int nranks = 4;
  std::size_t count = std::size_t{64} << 20;
  std::size_t slice_elements = std::size_t{1} << 20;  // the library's default
  int repetitions = 7;
  double limit = 0;  // 0: none
  std::string output_file;
};

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double threadCpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// Cores that this process may use.
int availableCores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  return sched_getaffinity(0, sizeof(cores), &cores) == 0 ? std::max(1, CPU_COUNT(&cores)) : 1;
}

/// Runs body(0) to body(nthreads - 1) in threads of their own; rethrows the first exception.
void runThreads(int nthreads, const std::function<void(int)>& body) {
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(nthreads));
  std::vector<std::thread> threads;
  threads.reserve(errors.size());
  for (int number = 0; number < nthreads; ++number) {
    threads.emplace_back([&, number] {
      try {
        body(number);
      } catch (...) {
        errors[static_cast<std::size_t>(number)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

/// The ranks' buffers and communicators.
class Collective {
 public:
  explicit Collective(const OverheadOptions& options)
      : options_(options), ranks_(static_cast<std::size_t>(options.nranks)) {
    case_.count = options.count;
    checkResult(signcclGetUniqueId(&id_), "signcclGetUniqueId", nullptr);
    Options comm_options;
    comm_options.nranks = options.nranks;
    comm_options.algorithm = "direct";
    runThreads(options.nranks, [&](int rank) {
      Rank& mine = ranks_[static_cast<std::size_t>(rank)];
      mine.comm = std::make_unique<RankComm>(comm_options, id_, rank);
      mine.buffers = std::make_unique<Buffers>(
          BufferSizes{slotBytes(case_.sendtype, case_.count), slotBytes(case_.recvtype, case_.count)});
      fillInput(case_.sendtype, InputValues::kAny, rank, 0, case_.count, mine.buffers->input(case_, InPlace::kNo, 0));
    });
  }

  /// Seconds from when all ranks begin until the last one has ended.
  double vote() {
    RankGroup group(options_.nranks);
    std::vector<Clock::time_point> ends(ranks_.size());
    Clock::time_point start;
    runThreads(options_.nranks, [&](int number) {
      const Rank& rank = ranks_[static_cast<std::size_t>(number)];
      const CallBuffers call{rank.buffers->input(case_, InPlace::kNo, 0), rank.buffers->output(case_, 0)};
      group.barrier();
      if (number == 0) start = Clock::now();
      rank.comm->issue(case_, {&call, 1}, 1);
      ends[static_cast<std::size_t>(number)] = Clock::now();
    });
    return std::chrono::duration<double>(*std::max_element(ends.begin(), ends.end()) - start).count();
  }

  [[nodiscard]] const std::byte* send(std::size_t rank) const {
    return ranks_[rank].buffers->input(case_, InPlace::kNo, 0);
  }
  [[nodiscard]] std::byte* recv(std::size_t rank) const { return ranks_[rank].buffers->output(case_, 0); }
  [[nodiscard]] std::string kernelsName() const { return ranks_.front().comm->stats().kernels; }

 private:
  struct Rank {
    std::unique_ptr<Buffers> buffers;
    std::unique_ptr<RankComm> comm;
  };

  const OverheadOptions& options_;
  Case case_;
  signcclUniqueId id_{};
  std::vector<Rank> ranks_;
};

enum Kernel : std::size_t { kEncode, kCount, kDecide, kDecode, kNumKernels };
constexpr std::array<const char*, kNumKernels> kKernelNames = {"encode", "count", "decide", "decode"};
using KernelSeconds = std::array<double, kNumKernels>;

/// The kernels of a vote, by one thread.
class KernelThread {
 public:
  KernelThread(const OverheadOptions& options, const Collective& collective, const Kernels& kernels)
      : options_(options),
        collective_(collective),
        kernels_(kernels),
        nranks_(static_cast<std::size_t>(options.nranks)),
        slice_words_((options.slice_elements + kWordBits - 1) / kWordBits),
        signs_(nranks_ * slice_words_),
        result_(slice_words_),
        counts_(static_cast<std::size_t>(planesFor(nranks_)) * slice_words_),
        inputs_(nranks_) {}

  void runSlice(std::size_t first_element) {
    const std::size_t count = std::min(options_.slice_elements, options_.count - first_element);
    for (std::size_t rank = 0; rank < nranks_; ++rank) {
      const std::byte* elements = collective_.send(rank) + first_element * sizeof(float);
      Word* signs = signs_.data() + rank * slice_words_;
      timed(kEncode, [&] { kernels_.encodeBinary(ElementType::kFloat32, elements, count, signs); });
    }
    const std::size_t nwords = (count + kWordBits - 1) / kWordBits;
    for (std::size_t chunk = 0; chunk < nranks_; ++chunk) {
      runChunk(nwords * chunk / nranks_, nwords * (chunk + 1) / nranks_);
    }
    const Store store = 2 * options_.count * sizeof(float) >= kStreamingBytes ? Store::kStreaming : Store::kCached;
    for (std::size_t rank = 0; rank < nranks_; ++rank) {
      std::byte* elements = collective_.recv(rank) + first_element * sizeof(float);
      timed(kDecode,
            [&] { kernels_.decodeVote(ElementType::kFloat32, result_.data(), nullptr, count, elements, store); });
    }
  }

  [[nodiscard]] const KernelSeconds& seconds() const { return seconds_; }

 private:
  static constexpr std::size_t kStreamingBytes = 16 << 20;  // of send and receive buffer; the library's default

  void runChunk(std::size_t begin, std::size_t end) {
    for (std::size_t rank = 0; rank < nranks_; ++rank) inputs_[rank] = signs_.data() + rank * slice_words_ + begin;
    const std::size_t nwords = end - begin;
    const Planes counts{counts_.data(), nwords, planesFor(nranks_)};
    timed(kCount, [&] { kernels_.count(inputs_.data(), options_.nranks, nwords, counts); });
    timed(kDecide, [&] {
      kernels_.decide({counts.words, counts.stride, counts.nplanes}, nranks_ / 2 + 1, nranks_ % 2 == 0,
                      randomTies(0, begin), nwords, result_.data() + begin, nullptr);
    });
  }

  template <typename Body>
  void timed(Kernel kernel, Body&& body) {
    const auto start = Clock::now();
    body();
    seconds_[kernel] += secondsSince(start);
  }

  const OverheadOptions& options_;
  const Collective& collective_;
  const Kernels& kernels_;
  const std::size_t nranks_;
  const std::size_t slice_words_;
  std::vector<Word> signs_;
  std::vector<Word> result_;
  std::vector<Word> counts_;
  std::vector<const Word*> inputs_;
  KernelSeconds seconds_{};
};

struct KernelRun {
  KernelSeconds seconds{};  ///< inside each kernel, summed over the threads and divided by the number of cores
  double core_share = 0;    ///< CPU time of the threads / their wall time
};

KernelRun runKernels(const OverheadOptions& options, const Collective& collective, const Kernels& kernels, int cores) {
  std::vector<KernelRun> of_thread(static_cast<std::size_t>(cores));
  RankGroup group(cores);
  runThreads(cores, [&](int number) {
    KernelThread thread(options, collective, kernels);
    const std::size_t nslices = (options.count + options.slice_elements - 1) / options.slice_elements;
    const auto stride = static_cast<std::size_t>(cores);
    group.barrier();
    const auto start = Clock::now();
    const double cpu_start = threadCpuSeconds();
    for (std::size_t slice = static_cast<std::size_t>(number); slice < nslices; slice += stride) {
      thread.runSlice(slice * options.slice_elements);
    }
    const double cpu_seconds = threadCpuSeconds() - cpu_start;
    of_thread[static_cast<std::size_t>(number)] = {thread.seconds(), cpu_seconds / secondsSince(start)};
  });
  KernelRun sum;
  for (const KernelRun& run : of_thread) {
    sum.core_share += run.core_share / cores;
    for (std::size_t kernel = 0; kernel < kNumKernels; ++kernel) sum.seconds[kernel] += run.seconds[kernel] / cores;
  }
  return sum;
}

struct Medians {
  double wall = 0;
  KernelSeconds kernels{};
  double core_share = 0;

  [[nodiscard]] double kernelTime() const { return std::accumulate(kernels.begin(), kernels.end(), 0.0); }
  [[nodiscard]] double ratio() const { return wall / kernelTime(); }
};

/// Alternates between the two, so that a machine that is slower for a while is so for both.
Medians measure(const OverheadOptions& options, Collective& collective, const Kernels& kernels, int cores) {
  collective.vote();  // warm-up: scratch is allocated, memory is touched
  runKernels(options, collective, kernels, cores);
  std::vector<double> walls;
  std::vector<double> core_shares;
  std::array<std::vector<double>, kNumKernels> kernel_seconds;
  for (int repetition = 0; repetition < options.repetitions; ++repetition) {
    walls.push_back(collective.vote());
    const KernelRun run = runKernels(options, collective, kernels, cores);
    core_shares.push_back(run.core_share);
    for (std::size_t kernel = 0; kernel < kNumKernels; ++kernel) kernel_seconds[kernel].push_back(run.seconds[kernel]);
  }
  Medians medians;
  medians.wall = median(walls);
  medians.core_share = median(core_shares);
  for (std::size_t kernel = 0; kernel < kNumKernels; ++kernel) medians.kernels[kernel] = median(kernel_seconds[kernel]);
  return medians;
}

/// Share of its cores below which a measurement is called disturbed.
constexpr double kQuiet = 0.95;

void print(const OverheadOptions& options, const Medians& medians, const std::string& kernels, int cores) {
  std::printf("# executor_overhead: vote, float, %d ranks, %zu elements, %d cores, kernels %s, median of %d\n",
              options.nranks, options.count, cores, kernels.c_str(), options.repetitions);
  for (std::size_t kernel = 0; kernel < kNumKernels; ++kernel) {
    std::printf("%-8s %10.3f ms\n", kKernelNames[kernel], medians.kernels[kernel] * 1e3);
  }
  std::printf("%-8s %10.3f ms  (sum of kernel times / cores)\n", "kernels", medians.kernelTime() * 1e3);
  std::printf("%-8s %10.3f ms\n", "wall", medians.wall * 1e3);
  std::printf("%-8s %10.3f\n", "ratio", medians.ratio());
  std::printf("# the kernels had %.0f %% of their cores%s\n", medians.core_share * 100,
              medians.core_share < kQuiet ? ": the machine is busy, the ratio means little" : "");
}

void writeJson(const OverheadOptions& options, const Medians& medians, const std::string& kernels, int cores) {
  nlohmann::ordered_json document = {{"ranks", options.nranks},
                                     {"elements", options.count},
                                     {"slice_elements", options.slice_elements},
                                     {"repetitions", options.repetitions},
                                     {"cores", cores},
                                     {"kernels", kernels},
                                     {"wall_ms", medians.wall * 1e3},
                                     {"kernel_ms", medians.kernelTime() * 1e3},
                                     {"ratio", medians.ratio()},
                                     {"core_share", medians.core_share}};
  for (std::size_t kernel = 0; kernel < kNumKernels; ++kernel) {
    document[std::string(kKernelNames[kernel]) + "_ms"] = medians.kernels[kernel] * 1e3;
  }
  std::ofstream file(options.output_file);
  file << document.dump(2) << '\n';
  file.close();
  if (!file) throw std::runtime_error("cannot write '" + options.output_file + "'");
}

void addOptions(CLI::App& app, OverheadOptions& options) {
  app.add_option("--ranks", options.nranks, "ranks, each a thread (default 4)")->check(CLI::Range(1, 1024));
  app.add_option("--elements", options.count, "elements of the vector (default 67108864)")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 36));
  app.add_option("--slice", options.slice_elements, "elements that the kernels alone work on at a time")
      ->check(CLI::Range(std::size_t{64}, std::size_t{1} << 30));
  app.add_option("--repetitions", options.repetitions, "measurements of each kind (default 7)")
      ->check(CLI::Range(1, 100000));
  app.add_option("--limit", options.limit, "fail if the ratio is larger")->check(CLI::Range(0.0, 1e6));
  app.add_option("-J,--output_file", options.output_file, "write the result as JSON to this file");
}

int run(const OverheadOptions& options) {
  const Kernels* kernels = selectKernels(std::getenv("SIGNCCL_KERNELS"));
  if (kernels == nullptr) throw std::runtime_error("SIGNCCL_KERNELS: this machine has no such kernels");
  const int cores = availableCores();
  Collective collective(options);
  const Medians medians = measure(options, collective, *kernels, cores);
  if (collective.kernelsName() != kernels->name) {
    throw std::runtime_error("the library used the kernels " + collective.kernelsName() + ", not " + kernels->name);
  }
  print(options, medians, kernels->name, cores);
  if (!options.output_file.empty()) writeJson(options, medians, kernels->name, cores);
  if (options.limit == 0 || medians.ratio() <= options.limit) return 0;
  std::cerr << "executor_overhead: the ratio " << medians.ratio() << " is above the limit " << options.limit << '\n';
  return 1;
}

}  // namespace
}  // namespace signccl::perf

int main(int argc, char** argv) {
  signccl::perf::OverheadOptions options;
  CLI::App app("Compares the time of a collective with the time of its kernels.", "executor_overhead");
  signccl::perf::addOptions(app, options);
  try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    std::reverse(arguments.begin(), arguments.end());  // the order in which CLI11 takes a vector
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return signccl::perf::run(options);
  } catch (const std::exception& error) {
    std::cerr << "executor_overhead: " << error.what() << '\n';
    return 1;
  }
}
