// SPDX-License-Identifier: Apache-2.0
// The mirrors of all communicators of the process: made at the first call that rules may match, ended with their
// communicator.
#ifndef SIGNCCL_PLUGIN_MPI_BACK_MIRRORS_H_
#define SIGNCCL_PLUGIN_MPI_BACK_MIRRORS_H_

#include <mpi.h>
#include <mutex>
#include <vector>

#include "mpi/back/mirror.h"

namespace signccl::mpi {

class Mirrors {
 public:
  /// To be made after MPI_Init().
  Mirrors();

  /// The mirror of a communicator, made if there is none. Local. Any thread.
  Mirror& of(MPI_Comm comm);

  /// Ends all mirrors, also those of communicators that the program never freed. To be called while MPI still works.
  void endAll();

 private:
  static int onDelete(MPI_Comm comm, int key, void* value, void* extra);
  void end(const Mirror* mirror);

  int key_ = MPI_KEYVAL_INVALID;
  std::mutex mutex_;  // guards what follows
  std::vector<const Mirror*> mirrors_;
};

}  // namespace signccl::mpi

#endif  // SIGNCCL_PLUGIN_MPI_BACK_MIRRORS_H_
