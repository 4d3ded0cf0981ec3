// SPDX-License-Identifier: Apache-2.0
#include "run/program.h"

#include <cerrno>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/xattr.h>

#include "run/elf_file.h"

namespace signccl::run {
namespace {

bool isFile(const std::string& path, struct stat& file) {
  return stat(path.c_str(), &file) == 0 && S_ISREG(file.st_mode);
}

/// The file after #! of a script; empty if it is none.
std::string interpreterOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char mark[2] = {};
  if (!file.read(mark, sizeof mark) || mark[0] != '#' || mark[1] != '!') return {};
  std::string line(256, '\0');
  file.read(line.data(), static_cast<std::streamsize>(line.size()));
  line.resize(static_cast<std::size_t>(file.gcount()));
  std::istringstream words(line.substr(0, line.find('\n')));
  std::string interpreter;
  words >> interpreter;
  return interpreter;
}

/// Whether the kernel gives the program rights that its user lacks, which makes the dynamic linker careful.
std::string rightsOf(const std::string& path) {
  struct stat file{};
  if (!isFile(path, file)) return {};
  if ((file.st_mode & S_ISUID) != 0 && file.st_uid != geteuid()) return "it is set-uid";
  if ((file.st_mode & S_ISGID) != 0 && file.st_gid != getegid()) return "it is set-gid";
  if (getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) return "it has file capabilities";
  return {};
}

std::string whyFileIgnoresPreload(const std::string& path) {
  if (const std::string rights = rightsOf(path); !rights.empty()) return path + ": " + rights;
  const std::optional<ElfFile> elf = readElf(path);
  if (!elf) return {};
  if (!elf->is_of_this_machine) return path + ": it was built for another kind of machine";
  if (!elf->is_dynamic) return path + ": it is linked statically";
  return {};
}

}  // namespace

Program findProgram(const std::string& name, const std::string& search_path) {
  struct stat file{};
  Program program;
  const auto fail = [&](int status, const std::string& why) {
    program.exit_status = status;
    program.problem = "cannot start '" + name + "': " + why;
    return program;
  };
  if (name.empty()) return fail(kNotFound, "expected the name of a program");
  if (name.find('/') != std::string::npos) {
    errno = 0;
    if (!isFile(name, file)) {
      const int error = errno;
      if (error == 0) return fail(kCannotRun, S_ISDIR(file.st_mode) ? "it is a directory" : "it is no file");
      return fail(error == ENOENT || error == ENOTDIR ? kNotFound : kCannotRun, std::generic_category().message(error));
    }
    if (access(name.c_str(), X_OK) != 0) return fail(kCannotRun, std::generic_category().message(errno));
    program.path = name;
    return program;
  }
  bool is_found = false;
  std::istringstream folders(search_path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string path = (folder.empty() ? "." : folder) + "/" + name;
    if (!isFile(path, file)) continue;
    is_found = true;
    if (access(path.c_str(), X_OK) != 0) continue;
    program.path = path;
    return program;
  }
  if (is_found) return fail(kCannotRun, "a file of this name in PATH may not be executed");
  return fail(kNotFound, "no folder of PATH has it");
}

std::string whyPreloadIsIgnored(const std::string& path) {
  const std::string interpreter = interpreterOf(path);
  return whyFileIgnoresPreload(interpreter.empty() ? path : interpreter);
}

}  // namespace signccl::run
