// SPDX-License-Identifier: Apache-2.0
// The comparison as a picture: how the error falls, and where each method ends.
#ifndef DIGITS_PLOT_H_
#define DIGITS_PLOT_H_

#include <filesystem>
#include <vector>

#include "report.h"

namespace digits {

/// Writes DIR/digits_own.svg and DIR/digits_whole.svg, as far as there are such entries. Each has a column of two
/// panels for each number of workers: error over steps (mean of the seeds), and accuracy at the end (mean, lowest,
/// highest). Throws std::runtime_error.
///
/// @return the files
std::vector<std::filesystem::path> writePlots(const std::filesystem::path& directory,
                                              const std::vector<Entry>& entries);

}  // namespace digits

#endif  // DIGITS_PLOT_H_
