// SPDX-License-Identifier: Apache-2.0
#include "launch/launcher.h"

#include <array>
#include <charconv>
#include <cstdlib>

#include "launch/error.h"
#include "launch/pmix_store.h"

namespace signccl::launch {
namespace {

struct Variables {
  const char* launcher;
  const char* rank;
  const char* size;
};

// torchrun comes first: it runs below other launchers, never above one.
constexpr std::array<Variables, 3> kLaunchers = {{{"torchrun", "RANK", "WORLD_SIZE"},
                                                  {"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                                  {"PMI", "PMI_RANK", "PMI_SIZE"}}};

constexpr LauncherVariable kVariables[] = {
    {"RANK, WORLD_SIZE", "torchrun", "this process and how many there are; they go before those of other launchers"},
    {"OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE", "mpirun of Open MPI", "the same"},
    {"PMI_RANK, PMI_SIZE", "mpiexec of MPICH and Intel MPI", "the same"},
    {"PMI_FD", "the same, and srun --mpi=pmi2", "the launcher's socket, through which the processes can meet"},
    {"SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_NTASKS", "srun", "the same, where SLURM_STEP_ID is that of a step"},
    {"SLURM_STEP_ID", "srun", "whether srun started this process, or it is in a batch script"},
    {"PMIX_RANK, PMIX_NAMESPACE", "any with PMIx", "this process, and that the processes can meet through PMIx"},
    {"MASTER_ADDR, MASTER_PORT", "torchrun, or you", "where the processes meet if SIGNCCL_COMM_ID is not set"},
    {"TORCHELASTIC_USE_AGENT_STORE", "torchrun", "True: its agent listens at MASTER_PORT, so the next port is used"},
    {"TORCHELASTIC_RUN_ID", "torchrun", "name of the job, which keeps jobs at one address apart"},
    {"SLURM_JOB_ID, SLURM_HET_SIZE", "srun", "the same; not in heterogeneous jobs"},
};

// Numbers of steps from here on stand for batch scripts, interactive shells and the like, which run once, not per task.
constexpr long long kFirstSpecialStep = 0xfffffff0;

long long parseNumber(const std::string& name, const std::string& value, long long most) {
  long long number = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || stop != end || number < 0 || number > most) {
    throw LaunchError(name + " is '" + value + "', expected a number of 0 to " + std::to_string(most));
  }
  return number;
}

Place makePlace(const Variables& names, const std::string& rank, const std::string& size) {
  Place place;
  place.origin = names.launcher;
  place.nprocesses = static_cast<int>(parseNumber(names.size, size, kMostProcesses));
  if (place.nprocesses == 0) throw LaunchError(std::string(names.size) + " is '0', expected 1 or more");
  place.process = static_cast<int>(parseNumber(names.rank, rank, kMostProcesses));
  if (place.process >= place.nprocesses) {
    throw LaunchError(std::string(names.rank) + " is " + rank + ", expected 0 to " +
                      std::to_string(place.nprocesses - 1) + " because " + names.size + " is " + size);
  }
  return place;
}

std::optional<Place> placeFrom(const Variables& names, const Environment& environment) {
  const auto rank = environment(names.rank);
  const auto size = environment(names.size);
  if (!rank && !size) return std::nullopt;
  if (!rank || !size) {
    throw LaunchError(std::string(rank ? names.rank : names.size) + " is set to '" + (rank ? *rank : *size) +
                      "', but " + (rank ? names.size : names.rank) + " is not set: expected both or none");
  }
  return makePlace(names, *rank, *size);
}

/// Slurm sets its variables in batch scripts too, which are no tasks of a step.
std::optional<Place> placeFromSlurm(const Environment& environment) {
  const auto step = environment("SLURM_STEP_ID");
  const auto rank = environment("SLURM_PROCID");
  if (!step || !rank || parseNumber("SLURM_STEP_ID", *step, 0xffffffff) >= kFirstSpecialStep) return std::nullopt;
  // Of the step; SLURM_NTASKS is that of the job in some versions.
  const char* size_name = environment("SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
  const auto size = environment(size_name);
  if (!size) throw LaunchError("SLURM_PROCID is set to '" + *rank + "', but SLURM_NTASKS is not set: expected both");
  return makePlace({"Slurm", "SLURM_PROCID", size_name}, *rank, *size);
}

/// PMIx says the rank in a variable, and the number of processes only when asked.
std::optional<Place> placeFromPmix(const Environment& environment) {
  const auto rank = environment("PMIX_RANK");
  if (!rank || !environment("PMIX_NAMESPACE")) return std::nullopt;
  return makePlace({"PMIx", "PMIX_RANK", "the size of the PMIx job"}, *rank, std::to_string(pmixJobSize()));
}

}  // namespace

std::span<const LauncherVariable> launcherVariables() { return kVariables; }

std::optional<std::string> environmentVariable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  constexpr const char* kBlanks = " \t\r";
  const std::string text = value;
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::optional<Place> placeFromLauncher(const Environment& environment) {
  for (const Variables& names : kLaunchers) {
    if (auto place = placeFrom(names, environment)) return place;
  }
  if (auto place = placeFromSlurm(environment)) return place;
  return placeFromPmix(environment);
}

Place placeFromArguments(std::optional<int> rank, std::optional<int> nranks) {
  if (!rank || !nranks) {
    throw LaunchError(std::string(rank ? "--rank" : "--nranks") + " is given, but " + (rank ? "--nranks" : "--rank") +
                      " is not: expected both or none");
  }
  return makePlace({"--rank", "--rank", "--nranks"}, std::to_string(*rank), std::to_string(*nranks));
}

}  // namespace signccl::launch
