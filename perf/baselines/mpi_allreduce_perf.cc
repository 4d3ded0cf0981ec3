// SPDX-License-Identifier: Apache-2.0
// mpi_allreduce_perf: times what MPI offers in place of a sign collective, and checks its results.
//
//   mpirun -np 4 mpi_allreduce_perf --op fp32 int8 bits --count 8 64M
//
// Exit codes: 0 all well; 1 wrong results or a failure; 2 options that cannot be run.
#include <array>
#include <exception>
#include <iostream>
#include <mpi.h>

#include "collective.h"
#include "measure.h"
#include "options.h"
#include "report.h"

namespace baselines {
namespace {

/// MPI from construction to destruction. Errors of MPI end the program, with MPI's message.
class MpiSession {
 public:
  MpiSession(int* argc, char*** argv) { MPI_Init(argc, argv); }
  ~MpiSession() { MPI_Finalize(); }
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  [[nodiscard]] static int rank() {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank;
  }

  [[nodiscard]] static World world() {
    World world;
    MPI_Comm_size(MPI_COMM_WORLD, &world.nranks);
    std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> version{};
    int length = 0;
    MPI_Get_library_version(version.data(), &length);
    // Up to the first comma it is name and version; then come build machines and dates.
    world.mpi = version.data();
    world.mpi.resize(std::min(world.mpi.size(), world.mpi.find(',')));
    return world;
  }
};

/// Elements that are wrong on any rank, on every rank.
std::size_t countWrong(Collective& collective, const Options& options) {
  collective.fill();
  collective.run();
  if (MpiSession::rank() == options.corrupt_rank) collective.corrupt();
  unsigned long long nwrong = collective.countWrong();
  MPI_Allreduce(MPI_IN_PLACE, &nwrong, 1, MPI_UNSIGNED_LONG_LONG, MPI_SUM, MPI_COMM_WORLD);
  return nwrong;
}

int run(const Options& options) {
  const World world = MpiSession::world();
  const bool speaks = MpiSession::rank() == 0;
  std::vector<Row> rows;
  std::size_t all_wrong = 0;
  if (speaks) std::cout << formatHeader(options, world) << std::flush;
  for (const std::size_t count : options.counts) {
    for (const std::string& op : options.ops) {
      Row row;
      row.c = {op, count, options.placement};
      const auto collective = makeCollective(row.c);
      row.bytes = collective->bytes();
      collective->fill();
      row.times = measure(*collective, options.warmup, options.iters);
      if (options.check == Check::kYes) row.nwrong = countWrong(*collective, options);
      all_wrong += row.nwrong.value_or(0);
      if (speaks) std::cout << formatRow(row, world) << std::flush;
      rows.push_back(row);
    }
  }
  if (speaks) {
    std::cout << "# wrong elements: " << all_wrong << '\n';
    if (!options.json_file.empty()) writeJson(options.json_file, options, world, rows);
  }
  return all_wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace baselines

int main(int argc, char** argv) {
  const baselines::MpiSession session(&argc, &argv);
  const baselines::ParsedOptions parsed = baselines::parseOptions(argc, argv);
  if (!parsed.message.empty()) {
    if (baselines::MpiSession::rank() == 0) (parsed.status == 0 ? std::cout : std::cerr) << parsed.message;
    return parsed.status;
  }
  try {
    return baselines::run(parsed.options);
  } catch (const std::exception& error) {
    std::cerr << "mpi_allreduce_perf: rank " << baselines::MpiSession::rank() << ": " << error.what() << '\n';
    // The others wait for this rank.
    MPI_Abort(MPI_COMM_WORLD, 1);
    return 1;
  }
}
