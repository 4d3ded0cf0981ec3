// SPDX-License-Identifier: Apache-2.0
#include "base/private_file.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

#include <sys/stat.h>

#include "base/error.h"

namespace signccl {
namespace {

int create(const std::string& path, const std::string& what) {
  // What is there already: /dev/stderr may be a file that others write to as well.
  const bool is_device = path.starts_with("/dev/") && !path.starts_with("/dev/shm/");
  const int mode = is_device ? O_APPEND : O_CREAT | O_TRUNC | O_NOFOLLOW;
  const int descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC | mode, S_IRUSR | S_IWUSR);
  if (descriptor >= 0) return descriptor;
  const std::string why = errno == ELOOP && !is_device ? "it is a symbolic link, and links are not followed"
                                                       : std::generic_category().message(errno);
  throw Error(signcclInvalidUsage, "cannot write " + what + "=" + path + ": " + why);
}

/// Calls `write_some(text)`, which gives what it has written, until all is written.
template <typename WriteSome>
void writeAll(std::string_view text, const WriteSome& write_some) {
  while (!text.empty()) {
    const ssize_t written = write_some(text);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw std::system_error(errno, std::generic_category());
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

PrivateFile::PrivateFile(const std::string& path, const std::string& what) : descriptor_(create(path, what)) {}

PrivateFile::~PrivateFile() { close(descriptor_); }

void PrivateFile::append(std::string_view text) {
  writeAll(text, [this](std::string_view rest) { return ::write(descriptor_, rest.data(), rest.size()); });
}

void PrivateFile::writeAt(off_t place, std::string_view text) {
  writeAll(text, [&](std::string_view rest) {
    const ssize_t written = pwrite(descriptor_, rest.data(), rest.size(), place);
    if (written > 0) place += written;
    return written;
  });
}

std::string whyOthersCanRead(const std::string& path) {
  struct stat file{};
  if (stat(path.c_str(), &file) != 0) return std::generic_category().message(errno);
  const mode_t forbidden = S_IROTH | (file.st_uid == geteuid() ? S_IRGRP : 0U);
  if ((file.st_mode & forbidden) == 0) return {};
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "its mode is %04o", static_cast<unsigned>(file.st_mode & 07777));
  return text.data();
}

}  // namespace signccl
