// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace baselines {
namespace {

using Json = nlohmann::ordered_json;

const char* placementName(InPlace placement) { return placement == InPlace::kYes ? "in_place" : "out_of_place"; }

/// GB/s at which a rank's input is used up, and what a link carries for that if all go round a ring.
double algorithmBandwidth(const Row& row) { return static_cast<double>(row.bytes) / row.times.mean_us / 1e3; }
double busBandwidth(const Row& row, const World& world) {
  return algorithmBandwidth(row) * 2 * (world.nranks - 1) / world.nranks;
}

}  // namespace

std::string formatHeader(const Options& options, const World& world) {
  return "# mpi_allreduce_perf, " + world.mpi + ", " + std::to_string(world.nranks) + " ranks, " +
         placementName(options.placement) + ", warmup " + std::to_string(options.warmup) + ", iters " +
         std::to_string(options.iters) + "\n" +
         "#  op         count        size        mean      median         min    algbw    busbw  #wrong\n" +
         "#                            (B)        (us)        (us)        (us)   (GB/s)   (GB/s)\n";
}

std::string formatRow(const Row& row, const World& world) {
  std::array<char, 256> text{};
  const std::string nwrong = row.nwrong ? std::to_string(*row.nwrong) : "N/A";
  std::snprintf(text.data(), text.size(), "%5s %13zu %11zu %11.2f %11.2f %11.2f %8.3f %8.3f %7s\n", row.c.op.c_str(),
                row.c.count, row.bytes, row.times.mean_us, row.times.median_us, row.times.min_us,
                algorithmBandwidth(row), busBandwidth(row, world), nwrong.c_str());
  return text.data();
}

void writeJson(const std::string& path, const Options& options, const World& world, const std::vector<Row>& rows) {
  Json results = Json::array();
  for (const Row& row : rows) {
    results.push_back({{"op", row.c.op},
                       {"count", row.c.count},
                       {"bytes", row.bytes},
                       {"mean_us", row.times.mean_us},
                       {"median_us", row.times.median_us},
                       {"min_us", row.times.min_us},
                       {"nwrong", row.nwrong ? Json(*row.nwrong) : Json(nullptr)}});
  }
  const Json document = {{"program", "mpi_allreduce_perf"},
                         {"mpi", world.mpi},
                         {"nranks", world.nranks},
                         {"placement", placementName(options.placement)},
                         {"warmup", options.warmup},
                         {"iters", options.iters},
                         {"results", results}};
  std::ofstream file(path);
  file << document.dump(2) << '\n';
  file.close();
  if (!file) throw std::runtime_error("writing '" + path + "' failed");
}

}  // namespace baselines
