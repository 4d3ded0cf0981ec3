// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/plan.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <unistd.h>

#include "sign_all_reduce_perf/element_types.h"

namespace signccl::perf {
namespace {

constexpr std::size_t kCacheLineBytes = 64;

std::size_t wholeLines(std::size_t bytes) { return (bytes + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes; }

std::vector<std::size_t> timedSizes(const Options& options) {
  std::vector<std::size_t> sizes = {options.min_bytes};
  // Compared by division and subtraction, which cannot overflow.
  if (options.step_factor > 1 && options.min_bytes > 0) {
    while (sizes.back() <= options.max_bytes / options.step_factor) {
      sizes.push_back(sizes.back() * options.step_factor);
    }
  } else if (options.step_factor == 1 && options.step_bytes > 0) {
    while (options.step_bytes <= options.max_bytes - sizes.back()) sizes.push_back(sizes.back() + options.step_bytes);
  }
  return sizes;
}

std::size_t bytesOfRanks(int nranks, const Options& options) {
  const BufferSizes sizes = bufferSizes(planSweeps(options), callsInFlight(options));
  return (sizes.send_bytes + sizes.recv_bytes) * static_cast<std::size_t>(nranks);
}

}  // namespace

std::size_t callsInFlight(const Options& options) {
  const auto calls = static_cast<std::size_t>(options.agg_iters);
  return options.form == CallForm::kAsync ? std::max<std::size_t>(calls, 2) : calls;
}

std::vector<Sweep> planSweeps(const Options& options) {
  std::vector<Sweep> sweeps;
  for (const signcclDataType_t sendtype : options.sendtypes) {
    for (const SignOp op : options.ops) {
      // Of "-d all" the types are left out that hold no sum.
      if (op == SignOp::kSum && !whyNotRecvType(op, sendtype, options.tie_rule, options.nranks).empty()) continue;
      const signcclDataType_t recvtype =
          options.recvtype.value_or(defaultRecvType(op, sendtype, options.tie_rule, options.nranks));
      const auto case_of = [&](std::size_t bytes) { return Case{op, sendtype, recvtype, countFor(sendtype, bytes)}; };
      Sweep sweep;
      for (std::size_t bytes = std::max<std::size_t>(options.min_bytes, 1); bytes <= options.max_bytes; bytes *= 2) {
        sweep.warmup.push_back(case_of(bytes));
      }
      for (const std::size_t bytes : timedSizes(options)) sweep.timed.push_back(case_of(bytes));
      sweeps.push_back(std::move(sweep));
    }
  }
  return sweeps;
}

std::size_t slotBytes(signcclDataType_t type, std::size_t count) { return wholeLines(bufferBytes(type, count)); }

BufferSizes bufferSizes(const std::vector<Sweep>& sweeps, std::size_t slots) {
  BufferSizes sizes;
  for (const Sweep& sweep : sweeps) {
    for (const auto* cases : {&sweep.warmup, &sweep.timed}) {
      for (const Case& c : *cases) {
        const std::size_t send_bytes = slotBytes(c.sendtype, c.count);
        sizes.send_bytes = std::max(sizes.send_bytes, slots * send_bytes);
        sizes.recv_bytes = std::max(sizes.recv_bytes, slots * std::max(send_bytes, slotBytes(c.recvtype, c.count)));
      }
    }
  }
  return sizes;
}

void fitIntoMemory(Options& options, int nranks, std::size_t available_bytes) {
  if (bytesOfRanks(nranks, options) <= available_bytes) return;
  const std::size_t wanted_bytes = options.max_bytes;
  std::size_t fits = options.min_bytes;
  std::size_t too_large = options.max_bytes;
  options.max_bytes = fits;
  if (bytesOfRanks(nranks, options) > available_bytes) {
    throw OptionError("--minbytes " + std::to_string(options.min_bytes) + " needs " +
                      std::to_string(bytesOfRanks(nranks, options)) + " bytes of memory for " + std::to_string(nranks) +
                      " ranks; available: " + std::to_string(available_bytes));
  }
  // Only the smallest and the largest size matter, so the search plans two sizes instead of all of them.
  Options probe = options;
  while (too_large - fits > 1) {
    probe.min_bytes = probe.max_bytes = fits + (too_large - fits) / 2;
    (bytesOfRanks(nranks, probe) <= available_bytes ? fits : too_large) = probe.max_bytes;
  }
  options.max_bytes = std::min(fits, wanted_bytes);
}

std::size_t availableMemory() {
  auto bytes = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::ifstream meminfo("/proc/meminfo");
  std::string key;
  std::size_t kilobytes = 0;
  while (meminfo >> key >> kilobytes) {
    if (key == "MemAvailable:") bytes = std::min(bytes, kilobytes * 1024);
    meminfo.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return bytes / 5 * 4;
}

}  // namespace signccl::perf
