// SPDX-License-Identifier: Apache-2.0
#include "base/descriptors.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <dirent.h>
#include <limits>

#include <sys/resource.h>

#include "base/error.h"

namespace signccl {
namespace {

struct Descriptors {
  std::size_t open = 0;
  std::size_t limit = std::numeric_limits<std::size_t>::max();
};

Descriptors descriptors() {
  Descriptors found;
  rlimit limits{};
  if (getrlimit(RLIMIT_NOFILE, &limits) != 0 || limits.rlim_cur == RLIM_INFINITY) return found;
  found.limit = limits.rlim_cur;
  DIR* const all = opendir("/proc/self/fd");
  if (all == nullptr) {
    if (errno == EMFILE) found.open = found.limit;
    return found;
  }
  while (const dirent* const one = readdir(all)) {
    const char* const end = one->d_name + std::strlen(one->d_name);
    std::size_t number = 0;
    const bool is_number = std::from_chars(one->d_name, end, number).ptr == end;
    // The limit is one of numbers; those beyond it are of a time when it was higher. That of the folder will be free.
    if (is_number && number < found.limit && number != static_cast<std::size_t>(dirfd(all))) ++found.open;
  }
  closedir(all);
  return found;
}

std::string describe(const Descriptors& found) {
  return "too many open files: " + std::to_string(found.open) + " of " + std::to_string(found.limit) +
         " that `ulimit -n` allows";
}

}  // namespace

std::string tooManyOpenFiles() { return describe(descriptors()); }

void requireDescriptors(std::size_t wanted) {
  const Descriptors found = descriptors();
  if (found.open + wanted <= found.limit) return;
  throw Error(signcclSystemError, describe(found) + ", expected room for " + std::to_string(wanted) + " more");
}

}  // namespace signccl
