// SPDX-License-Identifier: Apache-2.0
#include "host/host_identity.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <mutex>
#include <unistd.h>

#include <sys/random.h>

#include "base/error.h"
#include "base/process_locks.h"

namespace signccl {
namespace {

std::string fullHostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

}  // namespace

std::string machineIdentity() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot_id;
  return file >> boot_id ? boot_id : fullHostName();
}

std::string hostIdentity() { return fullHostName() + "/" + machineIdentity(); }

std::uint64_t processIdentity() {
  static std::uint64_t identity = 0;
  static pid_t process = 0;
  const std::lock_guard lock(processMutex(ProcessLock::kProcessIdentity));
  if (process != getpid()) {
    if (getentropy(&identity, sizeof identity) != 0) {
      throw Error(signcclSystemError, std::string("no random bytes: ") + std::strerror(errno));
    }
    process = getpid();
  }
  return identity;
}

}  // namespace signccl
