// SPDX-License-Identifier: Apache-2.0
#include "control/own_sockets.h"

#include <exception>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <pthread.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/process_locks.h"

namespace signccl {
namespace {

/// What tells a socket from another one of the same number.
struct Identity {
  dev_t device = 0;
  ino_t inode = 0;

  friend bool operator==(const Identity&, const Identity&) = default;
};

Identity identityOf(int socket) noexcept {
  struct stat status{};
  if (fstat(socket, &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

/// By number; guarded by ProcessLock::kOwnSockets. Never destroyed: sockets are made as long as the process runs.
std::map<int, Identity>& sockets() {
  static auto* const all = new std::map<int, Identity>;
  return *all;
}

/// In the child, which has no other threads. Only what a signal handler may do, except for reading the map, which no
/// thread can have been changing.
void closeInChild() noexcept {
  for (const auto& [socket, identity] : sockets()) {
    if (identityOf(socket) == identity) close(socket);
  }
}

/// Runs when the library is loaded. If there is no memory for it, children keep the sockets.
[[maybe_unused]] const bool watches_forks = [] {
  sockets();
  return pthread_atfork(nullptr, nullptr, closeInChild) == 0;
}();

}  // namespace

void hideFromChildren(int socket) noexcept {
  fcntl(socket, F_SETFD, FD_CLOEXEC);
  try {
    const std::lock_guard lock(processMutex(ProcessLock::kOwnSockets));
    sockets()[socket] = identityOf(socket);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): said in the header
  }
}

}  // namespace signccl
