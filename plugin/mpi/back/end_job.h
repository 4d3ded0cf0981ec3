// SPDX-License-Identifier: Apache-2.0
// How the back tells the user what is wrong.
#ifndef SIGNCCL_PLUGIN_MPI_BACK_END_JOB_H_
#define SIGNCCL_PLUGIN_MPI_BACK_END_JOB_H_

#include <mpi.h>
#include <string>

namespace signccl::mpi {

/// Writes a line to standard error.
void warn(const std::string& text);

/// Writes the text to standard error, with a prefix before each line, and ends all processes of the job. Ranks other
/// than 0 wait a moment before, in which rank 0 may say the same for all.
[[noreturn]] void endJob(const std::string& text);

/// Makes an error code of MPI whose text (MPI_Error_string()) is `text`, as far as it fits.
int makeErrorCode(const std::string& text);

}  // namespace signccl::mpi

#endif  // SIGNCCL_PLUGIN_MPI_BACK_END_JOB_H_
