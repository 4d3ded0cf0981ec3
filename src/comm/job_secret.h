// SPDX-License-Identifier: Apache-2.0
// What keeps others out where ranks meet at SIGNCCL_COMM_ID: a secret of the user, else the id of their job, so that
// two jobs with the same host and port do not mix.
#ifndef SIGNCCL_COMM_JOB_SECRET_H_
#define SIGNCCL_COMM_JOB_SECRET_H_

#include <functional>
#include <optional>
#include <string>

#include "base/settings.h"
#include "control/messages.h"

namespace signccl {

/// Gives the value of an environment variable, without blanks around it; nothing if it is unset or empty.
using JobEnvironment = std::function<std::optional<std::string>(const char* name)>;

/// The environment of this process. No other thread may change it meanwhile.
std::optional<std::string> jobVariable(const char* name);

/// The job of this process as its launcher calls it, the same for all of its processes: "torchrun's run 7", "PMIx job
/// prterun-1", "Slurm job 12, step 0"; empty if no launcher says one. plugin/python/signccl/_launcher.py has the same.
std::string jobName(const JobEnvironment& environment);

struct JobSecret {
  Secret bytes{};         ///< all 0: none
  bool is_users = false;  ///< of SIGNCCL_COMM_SECRET or SIGNCCL_COMM_SECRET_FILE; else anybody can guess it
};

/// The secret of the user, else one that is made from the job's name. Throws signcclInvalidUsage for a secret that is
/// too long, for two, and for a file that cannot be read or that other users may read.
JobSecret jobSecret(const Settings& settings, const std::string& job);

}  // namespace signccl

#endif  // SIGNCCL_COMM_JOB_SECRET_H_
