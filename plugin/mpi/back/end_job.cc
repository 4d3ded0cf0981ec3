// SPDX-License-Identifier: Apache-2.0
#include "mpi/back/end_job.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <thread>

namespace signccl::mpi {
namespace {

// Time that rank 0 has to end the job before another rank says why it would.
constexpr std::chrono::milliseconds kHeadStart{500};
constexpr std::chrono::milliseconds kTimeToRead{200};

int rankInWorld() {
  int rank = 0;
  PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

void print(const char* level, const std::string& text) {
  std::istringstream lines(text);
  std::string all;
  for (std::string line; std::getline(lines, line);) all += std::string("signccl: ") + level + ' ' + line + '\n';
  std::fputs(all.c_str(), stderr);  // at once, so that the lines of ranks do not mix
  std::fflush(stderr);
}

}  // namespace

void warn(const std::string& text) { print("WARN", text); }

void endJob(const std::string& text) {
  // Most errors are those of all ranks: rank 0 says them for all.
  if (rankInWorld() != 0) std::this_thread::sleep_for(kHeadStart);
  print("ERROR", text);
  // The launcher of MPICH reads no more of what the processes have printed once it is told to end them.
  std::this_thread::sleep_for(kTimeToRead);
  PMPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
  std::_Exit(EXIT_FAILURE);
}

int makeErrorCode(const std::string& text) {
  int error_class = 0;
  int code = MPI_ERR_OTHER;
  if (PMPI_Add_error_class(&error_class) != MPI_SUCCESS || PMPI_Add_error_code(error_class, &code) != MPI_SUCCESS)
    return MPI_ERR_OTHER;
  PMPI_Add_error_string(code, text.substr(0, MPI_MAX_ERROR_STRING - 1).c_str());
  return code;
}

}  // namespace signccl::mpi
