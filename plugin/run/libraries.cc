// SPDX-License-Identifier: Apache-2.0
#include "run/libraries.h"

#include <optional>

#include "run/elf_file.h"

namespace signccl::run {
namespace {

namespace fs = std::filesystem;

/// A library and the places where it may be, from the folder of signccl-run.
struct Place {
  const char* what;
  std::vector<fs::path> candidates;
};

// The wheel has bin/ and lib/ beside each other.
Place placeOfMpi() {
  const char* const name = "libsignccl_mpi.so";
  return {"the library for MPI",
          {fs::path(SIGNCCL_LIBDIR_FROM_BINDIR) / name, fs::path("../lib") / name, fs::path("../mpi") / name}};
}

Place placeOfNccl() {
  const char* const name = "signccl/preload/libnccl.so.2";
  return {"the stand-in for NCCL",
          {fs::path(SIGNCCL_LIBDIR_FROM_BINDIR) / name, fs::path("../lib") / name, fs::path("../../src/api") / name}};
}

/// The first candidate that is there and can be preloaded. Else notes in `problem` why each cannot.
std::optional<std::string> find(const Place& place, const fs::path& program_folder, std::string& problem) {
  std::string reasons;
  for (const fs::path& candidate : place.candidates) {
    std::string path = (program_folder / candidate).lexically_normal().string();
    const std::string why = whyNotPreloaded(path);
    if (why.empty()) return path;
    const std::string reason = std::string("\n  ").append(path).append(": ").append(why);
    if (reasons.find(reason) == std::string::npos) reasons.append(reason);
  }
  if (!problem.empty()) problem += '\n';
  problem.append(place.what).append(" cannot be preloaded:").append(reasons);
  return std::nullopt;
}

}  // namespace

Libraries findLibraries(Wanted wanted, const std::filesystem::path& program_folder) {
  std::vector<Place> places;
  if (wanted != Wanted::kNccl) places.push_back(placeOfMpi());
  if (wanted != Wanted::kMpi) places.push_back(placeOfNccl());
  Libraries libraries;
  for (const Place& place : places) {
    if (const auto path = find(place, program_folder, libraries.problem)) libraries.paths.push_back(*path);
  }
  // Of two, one is enough.
  if (wanted == Wanted::kAuto && !libraries.paths.empty()) libraries.problem.clear();
  return libraries;
}

std::filesystem::path programFolder() { return fs::read_symlink("/proc/self/exe").parent_path(); }

}  // namespace signccl::run
