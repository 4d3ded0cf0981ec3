// SPDX-License-Identifier: Apache-2.0
// Where the preload libraries are: beside this program as it was installed, in the wheel, or in a build tree.
#ifndef SIGNCCL_PLUGIN_RUN_LIBRARIES_H_
#define SIGNCCL_PLUGIN_RUN_LIBRARIES_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace signccl::run {

/// Which of the libraries to preload.
enum class Wanted : std::uint8_t {
  kAuto,  ///< those that are there
  kMpi,
  kNccl,
};

struct Libraries {
  std::vector<std::string> paths;  ///< to preload, in this order
  std::string problem;             ///< why they cannot be, in lines; empty if they can
};

/// Looks for the libraries. `program_folder` holds signccl-run. Each file that is taken can be preloaded.
Libraries findLibraries(Wanted wanted, const std::filesystem::path& program_folder);

/// The folder of this program.
std::filesystem::path programFolder();

}  // namespace signccl::run

#endif  // SIGNCCL_PLUGIN_RUN_LIBRARIES_H_
