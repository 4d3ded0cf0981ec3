// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/gpus.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>
#include <string>

#include "cuda/driver.h"
#include "sign_all_reduce_perf/plan.h"

namespace signccl::perf {
namespace {

/// A Gpu as it travels between processes.
struct GpuBytes {
  int ordinal = 0;
  std::array<char, 64> name{};
  std::array<char, 64> uuid{};
  std::array<char, 32> pci_address{};
};

GpuBytes describe(int ordinal) {
  const std::shared_ptr<Device> device = Device::get(ordinal);
  const DeviceFacts& facts = device->facts();
  GpuBytes bytes{.ordinal = ordinal};
  facts.name.copy(bytes.name.data(), bytes.name.size() - 1);
  facts.uuid.copy(bytes.uuid.data(), bytes.uuid.size() - 1);
  facts.pci_address.copy(bytes.pci_address.data(), bytes.pci_address.size() - 1);
  return bytes;
}

std::vector<GpuBytes> gpusOfProcess(const Options& options, const std::vector<Host>& hosts, std::size_t process) {
  const auto on_this_machine = [&](const Host& host) { return host.machine == hosts[process].machine; };
  const auto end = hosts.begin() + static_cast<std::ptrdiff_t>(process);
  const int first = static_cast<int>(std::count_if(hosts.begin(), end, on_this_machine)) * options.nthreads;
  const int nranks = static_cast<int>(std::ranges::count_if(hosts, on_this_machine)) * options.nthreads;
  std::vector<GpuBytes> gpus;
  try {
    const int ngpus = countGpus();
    for (int local = 0; local < options.nthreads; ++local) {
      gpus.push_back(describe(gpuOfRank(options, first + local, nranks, ngpus)));
    }
  } catch (const NoCuda& error) {
    throw OptionError("-g " + std::to_string(options.ngpus) + " needs a GPU: " + error.what() +
                      "; without -g buffers are in host memory");
  }
  return gpus;
}

}  // namespace

int gpuOfRank(const Options& options, int rank, int nranks, int ngpus) {
  if (ngpus < 1) throw OptionError("-g " + std::to_string(options.ngpus) + " needs a GPU, and the driver has none");
  if (options.oversubscribe) return rank % ngpus;
  if (nranks > ngpus) {
    throw OptionError(std::to_string(nranks) + " ranks of this machine need as many GPUs, and it has " +
                      std::to_string(ngpus) + "; --oversubscribe lets ranks share them");
  }
  return rank;
}

void assignGpus(const Options& options, std::vector<Host>& hosts, launch::JobComm& job) {
  if (options.ngpus == 0) return;
  const std::vector<GpuBytes> mine = gpusOfProcess(options, hosts, static_cast<std::size_t>(job.process()));
  const std::vector<GpuBytes> all = job.allGather(std::span<const GpuBytes>(mine));
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    const GpuBytes& gpu = all[rank];
    hosts[rank / mine.size()].gpus.push_back({gpu.ordinal, gpu.name.data(), gpu.uuid.data(), gpu.pci_address.data()});
  }
}

void fitIntoGpus(Options& options, const std::vector<Host>& hosts, const Host& mine) {
  std::map<std::string, int> users;  // ranks of each GPU, by its UUID, which no two GPUs of a job share
  for (const Host& host : hosts) {
    for (const Gpu& gpu : host.gpus) ++users[gpu.uuid];
  }
  std::set<std::string> seen;
  for (const Gpu& gpu : mine.gpus) {
    if (!seen.insert(gpu.uuid).second) continue;
    const std::size_t available_bytes = freeBytes(*Device::get(gpu.ordinal)) / 5 * 4;
    fitIntoMemory(options, users[gpu.uuid], available_bytes);
  }
}

}  // namespace signccl::perf
