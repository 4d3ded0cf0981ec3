// SPDX-License-Identifier: Apache-2.0
// A pipe through which one of several forked processes gives a unique id to the others.
#ifndef SIGNCCL_LAUNCH_ID_PIPE_H_
#define SIGNCCL_LAUNCH_ID_PIPE_H_

#include "signccl/signccl.h"

namespace signccl::launch {

/// Made before the processes are forked; each of them, and their parent, closes its ends by destroying it or by one of
/// the calls.
class IdPipe {
 public:
  /// Throws LaunchError.
  IdPipe();
  ~IdPipe();
  IdPipe(const IdPipe&) = delete;
  IdPipe& operator=(const IdPipe&) = delete;

  /// Gives `id` to `nreaders` processes. Throws LaunchError.
  void give(const signcclUniqueId& id, int nreaders);

  /// Waits for the id. Throws LaunchError if the process that has to give it ended without.
  signcclUniqueId take();

 private:
  void closeEnd(int which);

  int ends_[2] = {-1, -1};  ///< to read from, to write to
};

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_ID_PIPE_H_
