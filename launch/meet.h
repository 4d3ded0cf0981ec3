// SPDX-License-Identifier: Apache-2.0
// Brings the processes of a launched job together.
#ifndef SIGNCCL_LAUNCH_MEET_H_
#define SIGNCCL_LAUNCH_MEET_H_

#include <memory>
#include <optional>
#include <string>

#include "launch/job_comm.h"

namespace signccl::launch {

/// Where the variables say that the processes meet, in the form of SIGNCCL_COMM_ID: that variable itself, else
/// MASTER_ADDR and MASTER_PORT, with the port after it if torchrun's agent holds that one. Nothing if neither is set.
/// Throws LaunchError.
std::optional<std::string> meetingPoint(const Environment& environment);

/// Joins the communicator of the job's processes: they meet at meetingPoint(), else through PMIx or PMI. Throws
/// LaunchError, which says what to set if there is none of these. Sets SIGNCCL_COMM_ID while it runs and unsets it
/// then, so that the communicators that the program makes later meet by their own unique ids; to be called while the
/// process has one thread.
std::unique_ptr<JobComm> meet(const Place& place, const Environment& environment);

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_MEET_H_
