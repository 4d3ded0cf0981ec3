// SPDX-License-Identifier: Apache-2.0
// Files that other users should not read: the log, timelines, and secrets.
#ifndef SIGNCCL_BASE_PRIVATE_FILE_H_
#define SIGNCCL_BASE_PRIVATE_FILE_H_

#include <string>
#include <string_view>

#include <sys/types.h>

namespace signccl {

/// A file to write, which is not open in programs that this process starts. Not buffered, so that a forked child has
/// nothing of its parent to write.
class PrivateFile {
 public:
  /// Creates `path` for its owner alone (mode 0600), or empties it. A symbolic link is not followed: in a folder where
  /// all may write, such as /tmp, somebody else could make this process overwrite any of its user's files. Devices
  /// such as /dev/stderr, which is a link, are appended to. Throws signcclInvalidUsage: "cannot write `what`=`path`: ".
  PrivateFile(const std::string& path, const std::string& what);
  ~PrivateFile();
  PrivateFile(const PrivateFile&) = delete;
  PrivateFile& operator=(const PrivateFile&) = delete;

  /// Throw std::system_error.
  void append(std::string_view text);
  void writeAt(off_t place, std::string_view text);

 private:
  const int descriptor_;
};

/// Why users other than the owner may read a file, e.g. "its mode is 0644"; empty if they may not. A file of another
/// owner may be open to its group, as secrets in containers are.
std::string whyOthersCanRead(const std::string& path);

}  // namespace signccl

#endif  // SIGNCCL_BASE_PRIVATE_FILE_H_
