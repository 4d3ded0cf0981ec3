// SPDX-License-Identifier: Apache-2.0
// What a comparison of methods gives: the table, and the same numbers as CSV.
#ifndef DIGITS_REPORT_H_
#define DIGITS_REPORT_H_

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "data.h"
#include "method.h"
#include "trainer.h"

namespace digits {

/// One method with one number of workers and one sharding: a run for each seed.
struct Entry {
  Sharding sharding = Sharding::kOwn;
  Method method;
  int workers = 0;
  std::vector<std::uint64_t> seeds;
  std::vector<RunResult> runs;  ///< in the order of `seeds`
};

/// Means over the seeds, at the end of the runs.
struct Summary {
  double accuracy = 0;  ///< on the digits held out, 0 to 1
  double lowest_accuracy = 0;
  double highest_accuracy = 0;
  double held_out_loss = 0;
  double training_loss = 0;
  double bytes_per_step = 0;       ///< sent by a worker: counted by SignCCL, or that of an fp32 ring for the baselines
  double fp32_bytes_per_step = 0;  ///< what an fp32 ring all-reduce of the gradient sends
  double seconds = 0;              ///< of one run
  bool replicas_agree = false;     ///< in every run
};

/// A name without spaces, for files: own or whole.
std::string nameOf(Sharding sharding);

Summary summarise(const Entry& entry);

/// Prints the head of a table of entries with this sharding; printRow() then adds the rows. printFoot() explains the
/// columns and says whether all replicas agree.
void printHead(std::ostream& out, Sharding sharding);
void printRow(std::ostream& out, const Entry& entry);
void printFoot(std::ostream& out, const std::vector<Entry>& entries);

/// Writes DIR/curves.csv (a line per run and point) and DIR/summary.csv (a line per entry). Throws std::runtime_error.
void writeCsv(const std::filesystem::path& directory, const std::vector<Entry>& entries);

}  // namespace digits

#endif  // DIGITS_REPORT_H_
