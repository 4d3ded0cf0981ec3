// SPDX-License-Identifier: Apache-2.0
// Locks are those of open files (F_OFD_SETLK), which work on network file systems too and end with the process. The
// first byte is locked by the process that has the file, the second one, for reading, by all that want its name.
#include "base/trace_file.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <sys/stat.h>

#include "base/error.h"
#include "base/process_name.h"

namespace signccl {
namespace {

constexpr off_t kOwner = 0;
constexpr off_t kWanted = 1;

struct flock lockOf(int type, off_t byte) {
  struct flock lock{};
  lock.l_type = static_cast<short>(type);
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

bool tryLock(int file, int type, off_t byte) {
  struct flock lock = lockOf(type, byte);
  return fcntl(file, F_OFD_SETLK, &lock) == 0;
}

/// False where it is the file system that has no locks.
bool isHeld(int error) { return error == EAGAIN || error == EACCES; }

/// Where the system cannot say, it counts as locked: a file too many is better than one that two processes write.
bool isLockedByOthers(int file, off_t byte) {
  struct flock lock = lockOf(F_WRLCK, byte);
  return fcntl(file, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

/// A descriptor for locks, or -1 if it is no regular file. A link is not followed: in a folder where all may write,
/// somebody else could make this process overwrite any of its user's files. Throws signcclInvalidUsage.
int openForLocks(const std::string& path, const std::string& wanted) {
  const bool is_device = path.starts_with("/dev/") && !path.starts_with("/dev/shm/");
  const int mode = is_device ? O_WRONLY : O_RDWR | O_CREAT | O_NOFOLLOW;
  const int file = open(path.c_str(), mode | O_CLOEXEC | O_NONBLOCK, 0600);
  if (file < 0) {
    const std::string why = errno == ELOOP && !is_device ? "it is a symbolic link, and links are not followed"
                                                         : std::generic_category().message(errno);
    throw Error(signcclInvalidUsage, "cannot write the trace SIGNCCL_TRACE=" + wanted + ": " + why);
  }
  struct stat status{};
  if (fstat(file, &status) == 0 && S_ISREG(status.st_mode)) return file;
  close(file);
  return -1;
}

/// dir/trace.json -> dir/trace.PART.json
std::string withPart(const std::string& name, const std::string& part) {
  const std::filesystem::path path(name);
  return std::filesystem::path(path)
      .replace_filename(path.stem().string() + "." + part + path.extension().string())
      .string();
}

bool belongsToLivingProcess(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return errno != ENOENT;
  const bool is_locked = isLockedByOthers(file, kOwner);
  close(file);
  return is_locked;
}

}  // namespace

TraceFile::Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

TraceFile::TraceFile(std::string wanted)
    : wanted_(std::move(wanted)), path_(wanted_), wanted_lock_(openForLocks(path_, wanted_)) {
  if (wanted_lock_.number() < 0) return;
  tryLock(wanted_lock_.number(), F_RDLCK, kWanted);
  if (tryLock(wanted_lock_.number(), F_WRLCK, kOwner)) return;
  // In containers processes of one folder may have the same host name and process id.
  const std::string part = hostName() + "." + std::to_string(getpid());
  for (int number = 0;; ++number) {
    path_ = withPart(wanted_, number == 0 ? part : part + "." + std::to_string(number));
    own_lock_ = Descriptor(openForLocks(path_, wanted_));
    if (tryLock(own_lock_.number(), F_WRLCK, kOwner) || !isHeld(errno)) return;
  }
}

void TraceFile::nameByRankIfShared(Rank rank) {
  if (std::exchange(is_settled_, true) || wanted_lock_.number() < 0) return;
  const bool is_shared = own_lock_.number() >= 0 || isLockedByOthers(wanted_lock_.number(), kWanted);
  const std::string name = withPart(wanted_, std::to_string(rank));
  if (!is_shared || belongsToLivingProcess(name)) return;
  if (std::rename(path_.c_str(), name.c_str()) == 0) path_ = name;
}

}  // namespace signccl
