// SPDX-License-Identifier: Apache-2.0
// The command line of sign_all_reduce_perf: the options of nccl-tests, and a few of our own.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_OPTIONS_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "launch/job.h"
#include "signccl/signccl.h"

namespace signccl::perf {

enum class SignOp : std::uint8_t { kVote, kAvg, kSum };

/// Which rank's time is reported, in the numbering of nccl-tests' -a.
enum class Average : std::uint8_t { kRank0 = 0, kMean = 1, kMin = 2, kMax = 3 };

/// Blocking calls, or non-blocking ones that are all waited for at the end.
enum class CallForm : std::uint8_t { kBlocking, kAsync };

struct Options {
  int nthreads = 2;            ///< ranks of each process, each of which is a thread
  int ngpus = 0;               ///< of those, ranks for each -t, which all have a GPU; 0: buffers are in host memory
  bool oversubscribe = false;  ///< several ranks may have one GPU
  int nprocesses = 1;
  int nranks = 2;  ///< of all processes; rank r is thread r % nthreads of process r / nthreads
  std::size_t min_bytes = std::size_t{32} << 20;
  std::size_t max_bytes = std::size_t{32} << 20;
  std::size_t step_bytes = std::size_t{1} << 20;
  std::size_t step_factor = 1;  ///< 1: sizes grow by step_bytes
  int iters = 20;
  int warmup_iters = 1;
  int agg_iters = 1;
  int run_cycles = 1;      ///< 0: forever
  int check_iters = 1;     ///< 0: results are not checked
  int graph_launches = 0;  ///< of each CUDA graph into which calls are captured; 0: they are not
  std::vector<SignOp> ops = {SignOp::kVote};
  std::vector<signcclDataType_t> sendtypes = {signcclFloat32};
  std::optional<signcclDataType_t> recvtype;  ///< empty: defaultRecvType()
  Average average = Average::kMean;
  bool report_timestamps = false;
  bool report_memory = false;
  std::string output_file;  ///< empty: no JSON
  int timeout_s = 0;        ///< 0: the library's default
  std::string algorithm;    ///< empty: the library chooses
  std::string tuning_file;  ///< not empty: measures every algorithm, and writes the fastest ones there
  signcclZeroRule_t zero_rule = signcclZeroBinary;
  signcclTieRule_t tie_rule = signcclTieRandom;
  signcclMisfitRule_t misfit_rule = signcclMisfitKeep;
  int kernel_threads = 0;  ///< 0: the library's default
  CallForm form = CallForm::kBlocking;
  double min_bus_bandwidth = -1;  ///< GB/s, from SIGNCCL_TESTS_MIN_BW; negative: not checked

  // For the tests of this program: the rank whose result is damaged before the check, and the rank that asks for one
  // element fewer than the others. -1: none.
  int corrupt_rank = -1;
  int disagree_rank = -1;

  std::vector<std::string> arguments;  ///< as given, the program's name first
};

/// A command line or environment that cannot be run; what() names the value and what is allowed.
class OptionError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct ParsedOptions {
  Options options;
  launch::Job job;   ///< options.nprocesses processes
  std::string help;  ///< not empty: print this and exit
};

/// Reads the command line, the variables of launchers, and SIGNCCL_TESTS_MIN_BW. Throws OptionError.
ParsedOptions parseOptions(int argc, const char* const* argv);

/// What --algo takes beside auto.
const std::vector<std::string>& algorithmNames();

/// "32M" -> 33554432. A number, a fraction too, and one of the suffixes K, M, G and T in either case (powers of 1024).
/// Throws OptionError.
std::size_t parseSize(const std::string& text);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_OPTIONS_H_
