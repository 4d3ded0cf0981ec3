// SPDX-License-Identifier: Apache-2.0
#include "launch/id_pipe.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include "launch/error.h"

namespace signccl::launch {
namespace {

constexpr int kRead = 0;
constexpr int kWrite = 1;

/// Calls `transfer` again if a signal interrupted it.
template <typename Transfer>
ssize_t uninterrupted(const Transfer& transfer) {
  ssize_t bytes = 0;
  do {
    bytes = transfer();
  } while (bytes < 0 && errno == EINTR);
  return bytes;
}

}  // namespace

IdPipe::IdPipe() {
  // O_DIRECT keeps each id in one piece, however many processes read.
  if (pipe2(ends_, O_CLOEXEC | O_DIRECT) != 0) throw LaunchError(std::string("pipe2 failed: ") + std::strerror(errno));
}

IdPipe::~IdPipe() {
  closeEnd(kRead);
  closeEnd(kWrite);
}

void IdPipe::closeEnd(int which) {
  if (ends_[which] >= 0) close(ends_[which]);
  ends_[which] = -1;
}

void IdPipe::give(const signcclUniqueId& id, int nreaders) {
  // The end to read from stays open meanwhile: readers that have died would otherwise end this process by SIGPIPE.
  for (int reader = 0; reader < nreaders; ++reader) {
    if (uninterrupted([&] { return write(ends_[kWrite], &id, sizeof id); }) == sizeof id) continue;
    throw LaunchError(std::string("giving the unique id to the other processes failed: ") + std::strerror(errno));
  }
  closeEnd(kWrite);
}

signcclUniqueId IdPipe::take() {
  closeEnd(kWrite);
  signcclUniqueId id{};
  if (uninterrupted([&] { return read(ends_[kRead], &id, sizeof id); }) != sizeof id) {
    throw LaunchError("process 0 ended before it gave the unique id to the others");
  }
  return id;
}

}  // namespace signccl::launch
