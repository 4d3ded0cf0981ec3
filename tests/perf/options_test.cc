// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/options.h"

#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signccl::perf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

ParsedOptions parseAll(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "sign_all_reduce_perf");
  return parseOptions(static_cast<int>(arguments.size()), arguments.data());
}

Options parse(const std::vector<const char*>& arguments) { return parseAll(arguments).options; }

/// The message with which the arguments are refused, or an empty text.
std::string refusal(const std::vector<const char*>& arguments) {
  try {
    parse(arguments);
  } catch (const OptionError& error) {
    return error.what();
  }
  return {};
}

TEST(OptionsTest, DefaultsAreThoseOfNcclTests) {
  const Options options = parse({});
  EXPECT_EQ(options.min_bytes, std::size_t{32} << 20);
  EXPECT_EQ(options.max_bytes, std::size_t{32} << 20);
  EXPECT_EQ(options.step_bytes, std::size_t{1} << 20);
  EXPECT_EQ(options.iters, 20);
  EXPECT_EQ(options.warmup_iters, 1);
  EXPECT_EQ(options.agg_iters, 1);
  EXPECT_EQ(options.check_iters, 1);
  EXPECT_EQ(options.average, Average::kMean);
}

TEST(OptionsTest, ReadsShortAndLongForms) {
  const Options options =
      parse({"-b8", "-e", "1K", "--stepfactor", "2", "-n", "5", "-w", "0", "-m3", "-t", "4",  "-N",
             "2",   "-c", "0",  "-a",           "3", "-S", "1", "-T", "7", "-M",  "1",  "-J", "file.json"});
  EXPECT_EQ(options.min_bytes, 8U);
  EXPECT_EQ(options.max_bytes, 1024U);
  EXPECT_EQ(options.step_factor, 2U);
  EXPECT_EQ(options.iters, 5);
  EXPECT_EQ(options.warmup_iters, 0);
  EXPECT_EQ(options.agg_iters, 3);
  EXPECT_EQ(options.nranks, 4);
  EXPECT_EQ(options.run_cycles, 2);
  EXPECT_EQ(options.check_iters, 0);
  EXPECT_EQ(options.average, Average::kMax);
  EXPECT_TRUE(options.report_timestamps);
  EXPECT_TRUE(options.report_memory);
  EXPECT_EQ(options.timeout_s, 7);
  EXPECT_EQ(options.output_file, "file.json");
}

TEST(OptionsTest, ReadsOwnOptions) {
  const Options options = parse({"-o", "all", "-d", "all", "--algo", "ring", "--zero", "ternary", "--tie", "positive",
                                 "--kernel-threads", "2", "--async", "--recvtype", "half", "--misfit", "discard"});
  EXPECT_THAT(options.ops, ElementsAre(SignOp::kVote, SignOp::kAvg));
  EXPECT_THAT(options.sendtypes, SizeIs(6));
  EXPECT_EQ(options.algorithm, "ring");
  EXPECT_EQ(options.zero_rule, signcclZeroTernary);
  EXPECT_EQ(options.tie_rule, signcclTiePositive);
  EXPECT_EQ(options.misfit_rule, signcclMisfitDiscard);
  EXPECT_EQ(options.kernel_threads, 2);
  EXPECT_EQ(options.form, CallForm::kAsync);
  EXPECT_EQ(options.recvtype, signcclFloat16);
}

TEST(OptionsTest, RanksAreProcessesTimesThreads) {
  const Options alone = parse({});
  EXPECT_EQ(alone.nranks, 2);
  const Options processes = parse({"-p", "3"});
  EXPECT_EQ(processes.nprocesses, 3);
  EXPECT_EQ(processes.nthreads, 1);
  EXPECT_EQ(processes.nranks, 3);
  EXPECT_EQ(parse({"-p", "1"}).nranks, 1);
  EXPECT_EQ(parse({"-p", "3", "-t", "4"}).nranks, 12);
  const ParsedOptions numbered = parseAll({"--rank", "1", "--nranks", "5", "-t", "2"});
  EXPECT_EQ(numbered.options.nranks, 10);
  EXPECT_EQ(numbered.job.place.process, 1);
}

TEST(OptionsTest, RanksWithGpusAreProcessesTimesThreadsTimesGpus) {
  const Options eight = parse({"-g", "8"});
  EXPECT_EQ(eight.ngpus, 8);
  EXPECT_EQ(eight.nranks, 8);
  EXPECT_EQ(parse({"-t", "4", "-g", "1"}).nranks, 4);
  const Options all = parse({"-p", "2", "-t", "3", "-g", "2", "--oversubscribe"});
  EXPECT_EQ(all.nthreads, 6);
  EXPECT_EQ(all.nranks, 12);
  EXPECT_TRUE(all.oversubscribe);
  EXPECT_EQ(parse({}).ngpus, 0);
}

TEST(OptionsTest, TheLastOfRepeatedOptionsCounts) { EXPECT_EQ(parse({"-n", "5", "-n", "6"}).iters, 6); }

TEST(OptionsTest, HelpIsATextAndNotAnError) {
  const std::string help = parseAll({"--help"}).help;
  EXPECT_THAT(help, HasSubstr("--minbytes"));
  EXPECT_THAT(help, testing::Not(HasSubstr("--corrupt")));
}

TEST(OptionsTest, SizesHaveBinarySuffixes) {
  EXPECT_EQ(parseSize("0"), 0U);
  EXPECT_EQ(parseSize("17"), 17U);
  EXPECT_EQ(parseSize("2k"), 2048U);
  EXPECT_EQ(parseSize("1.5M"), 3U << 19);
  EXPECT_EQ(parseSize("3G"), std::size_t{3} << 30);
}

TEST(OptionsTest, NeutralValuesOfForeignOptionsAreAccepted) {
  EXPECT_EQ(refusal({"-z", "0", "-G", "0", "-r", "0", "-y", "0", "-C", "0", "-R", "0", "--parallel_init", "1"}), "");
  EXPECT_EQ(refusal({"-r", "-1"}), "");
}

struct BadOptions {
  std::vector<const char*> arguments;
  std::vector<const char*> message_parts;  ///< the value, and what is allowed or why not
};

TEST(OptionsTest, RefusalsNameTheValueAndWhatIsAllowed) {
  const std::vector<BadOptions> table = {
      {{"-t", "0"}, {"--nthreads", "0", "1"}},
      {{"-o", "sum", "-g", "1"}, {"--op sum", "-g", "host memory"}},
      {{"-o", "sum", "--async"}, {"--op sum", "--async"}},
      {{"-o", "sum", "--tune", "file"}, {"--op sum", "--tune"}},
      {{"-o", "sum", "-d", "bits"}, {"--datatype bits", "--op sum", "int8, half, bfloat16, float or double"}},
      {{"-o", "sum", "-d", "int8", "-t", "128"}, {"--datatype int8", "--op sum", "127"}},
      {{"-o", "sum", "--recvtype", "double"}, {"--recvtype double", "--op sum", "float"}},
      {{"-p", "0"}, {"--processes", "0", "1"}},
      {{"--rank", "2", "--nranks", "2"}, {"--rank is 2", "0 to 1"}},
      {{"--rank", "0"}, {"--rank", "--nranks"}},
      {{"-p", "2", "--rank", "0", "--nranks", "2"}, {"-p", "--rank", "one of the two"}},
      {{"-t", "four"}, {"--nthreads", "four"}},
      {{"-b", "12Q"}, {"--minbytes", "12Q", "K, M, G"}},
      {{"-e", "-4"}, {"--maxbytes", "-4", "negative"}},
      {{"-e", "9999999T"}, {"--maxbytes", "9999999T"}},
      {{"-i", "x"}, {"--stepbytes", "'x'"}},
      {{"-b", "2M", "-e", "1M"}, {"2097152", "1048576"}},
      {{"-b", "0", "-e", "1M", "-f", "2"}, {"--minbytes 0"}},
      {{"-b", "1", "-e", "1M", "-i", "0"}, {"--stepbytes 0"}},
      {{"-f", "0"}, {"--stepfactor", "0"}},
      {{"-n", "0"}, {"--iters", "0", "1"}},
      {{"-n", "3.5"}, {"--iters", "3.5"}},
      {{"-w", "-1"}, {"--warmup_iters", "-1"}},
      {{"-m", "5000"}, {"--agg_iters", "5000", "4096"}},
      {{"-N", "-1"}, {"--run_cycles", "-1"}},
      {{"-c", "-2"}, {"--check", "-2"}},
      {{"-a", "4"}, {"--average", "'4'", "0|1|2|3"}},
      {{"-S", "2"}, {"--report_timestamps", "'2'", "0|1"}},
      {{"-M", "yes"}, {"--memory", "yes", "0|1"}},
      {{"-T", "-5"}, {"--timeout", "-5"}},
      {{"-J", ""}, {"--output_file", "empty"}},
      {{"-o", "product"}, {"--op", "'product'", "vote|avg|sum|all"}},
      {{"-d", "uint8"}, {"--datatype", "'uint8'", "float|half|bfloat16|double|int8|bits|all"}},
      {{"--recvtype", "int64"}, {"--recvtype", "int64", "int32"}},
      {{"--recvtype", "int16"}, {"--recvtype", "int16", "vote"}},
      {{"-o", "avg", "--recvtype", "bits"}, {"--recvtype", "bits", "avg"}},
      {{"--tie", "zero", "--recvtype", "bits"}, {"--recvtype", "bits", "zero"}},
      {{"-o", "avg", "-t", "200", "--recvtype", "int8"}, {"--recvtype", "int8", "127"}},
      {{"--algo", "butterfly"}, {"--algo", "butterfly", "direct"}},
      {{"--zero", "none"}, {"--zero", "none", "binary|ternary"}},
      {{"--tie", "sometimes"}, {"--tie", "sometimes", "random"}},
      {{"--misfit", "lose"}, {"--misfit", "lose", "keep|discard"}},
      {{"--kernel-threads", "0"}, {"--kernel-threads", "0", "1"}},
      {{"-g", "0"}, {"--ngpus", "0", "1"}},
      {{"-g", "2", "--async"}, {"--async", "-g"}},
      {{"--oversubscribe"}, {"--oversubscribe", "-g"}},
      {{"-z", "1"}, {"--blocking", "'1'", "--async"}},
      {{"-G", "5"}, {"--cudagraph 5", "-g"}},
      {{"-g", "1", "--cudagraph", "-1"}, {"--cudagraph", "-1"}},
      {{"-g", "1", "-G", "two"}, {"--cudagraph", "two"}},
      {{"-r", "3"}, {"--root", "'3'"}},
      {{"--frobnicate", "7"}, {"--frobnicate"}},
      {{"surplus"}, {"surplus"}},
      {{"-n"}, {"--iters"}},
      {{"--corrupt", "2"}, {"2"}},
  };
  for (const BadOptions& bad : table) {
    const std::string message = refusal(bad.arguments);
    std::string command;
    for (const char* argument : bad.arguments) command += std::string(argument) + " ";
    EXPECT_NE(message, "") << command;
    for (const char* part : bad.message_parts) EXPECT_THAT(message, HasSubstr(part)) << command;
  }
}

class MinBandwidth {
 public:
  explicit MinBandwidth(const char* value) { setenv("SIGNCCL_TESTS_MIN_BW", value, 1); }
  ~MinBandwidth() { unsetenv("SIGNCCL_TESTS_MIN_BW"); }
};

TEST(OptionsTest, ReadsTheLeastBandwidthFromTheEnvironment) {
  EXPECT_LT(parse({}).min_bus_bandwidth, 0);
  const MinBandwidth variable("1.25");
  EXPECT_EQ(parse({}).min_bus_bandwidth, 1.25);
}

TEST(OptionsTest, RefusesALeastBandwidthThatIsNoNumber) {
  const MinBandwidth variable("fast");
  EXPECT_THAT(refusal({}), HasSubstr("fast"));
}

}  // namespace
}  // namespace signccl::perf
