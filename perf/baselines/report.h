// SPDX-License-Identifier: Apache-2.0
// Results as a table and as JSON.
#ifndef BASELINES_REPORT_H_
#define BASELINES_REPORT_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "collective.h"
#include "measure.h"
#include "options.h"

namespace baselines {

struct Row {
  Case c;
  std::size_t bytes = 0;  ///< of one rank's input
  Times times;
  std::optional<std::size_t> nwrong;  ///< of all ranks together; empty: not checked
};

struct World {
  std::string mpi;  ///< name and version of the library
  int nranks = 0;
};

std::string formatHeader(const Options& options, const World& world);
std::string formatRow(const Row& row, const World& world);

/// Throws std::runtime_error if the file cannot be written.
void writeJson(const std::string& path, const Options& options, const World& world, const std::vector<Row>& rows);

}  // namespace baselines

#endif  // BASELINES_REPORT_H_
