// SPDX-License-Identifier: Apache-2.0
// What happens in a forked child of a test.
#ifndef SIGNCCL_TESTS_DEVICE_FORKED_CHILD_H_
#define SIGNCCL_TESTS_DEVICE_FORKED_CHILD_H_

#include <string>
#include <unistd.h>

#include <sys/wait.h>

#include "support/caught.h"

namespace signccl {

/// Runs `body` in a forked child, and gives what it threw there.
template <typename Body>
std::string errorInChild(const Body& body) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    const std::string text = caught(body).message;
    const bool is_written = write(pipe_ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    _exit(is_written ? 0 : 1);
  }
  close(pipe_ends[1]);
  std::string text;
  char part[256];
  for (ssize_t n = 0; (n = read(pipe_ends[0], part, sizeof part)) > 0;) text.append(part, static_cast<std::size_t>(n));
  close(pipe_ends[0]);
  waitpid(child, nullptr, 0);
  return text;
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_DEVICE_FORKED_CHILD_H_
