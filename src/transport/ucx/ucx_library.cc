// SPDX-License-Identifier: Apache-2.0
#include "transport/ucx/ucx_library.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <link.h>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "transport/ucx/signal_keeper.h"
#include "transport/ucx/ucx_environment.h"

namespace signccl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLibrary = "libucp.so.0";

/// Symbols stay local: whoever needs UCX later finds it by its SONAME, and nobody else's symbols are replaced.
constexpr int kLoad = RTLD_NOW | RTLD_LOCAL;

std::string linkerError() {
  const char* const error = dlerror();
  return error == nullptr ? "no reason given" : error;
}

std::string fileOf(void* library) {
  link_map* map = nullptr;
  return dlinfo(library, RTLD_DI_LINKMAP, static_cast<void*>(&map)) == 0 ? map->l_name : kLibrary;
}

/// Notes the path of a libucp among the libraries of the process. Called in a frame of C: nothing is allocated.
int noteUcp(dl_phdr_info* info, std::size_t /*size*/, void* found) noexcept {
  const std::string_view path = info->dlpi_name;
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if ((!name.starts_with("libucp.so") && !name.starts_with("libucp-")) || path.size() >= PATH_MAX) return 0;
  std::memcpy(found, path.data(), path.size());
  return 1;
}

/// The UCX that is already loaded, or null. Packages that carry UCX may have renamed it, so its name is tried second.
void* loadedUcx() {
  if (void* const library = dlopen(kLibrary, kLoad | RTLD_NOLOAD)) return library;
  char path[PATH_MAX] = {};
  return dl_iterate_phdr(noteUcp, path) != 0 ? dlopen(path, kLoad | RTLD_NOLOAD) : nullptr;
}

/// In a folder it is the name without a version that Python's libucx loads; in a wheel the other ones are copies, and
/// whoever loads one of those has two UCX.
fs::path libraryAt(const std::string& wanted) {
  std::error_code ignored;
  fs::path path = wanted;
  if (!fs::is_directory(path, ignored)) return path;
  const fs::path unversioned = path / "libucp.so";
  return fs::exists(unversioned, ignored) ? unversioned : path / kLibrary;
}

[[noreturn]] void reject(const std::string& wanted, const std::string& why) {
  throw Error(signcclInvalidUsage, "SIGNCCL_UCX_LIBRARY=" + wanted +
                                       ": expected the path of libucp.so.0, or of a folder that holds it (" + why +
                                       ")");
}

/// The libraries that libucp needs are taken from its folder, whether or not it says so itself. libucm needs functions
/// of libucs without saying so, so that it can only be loaded lazily. What cannot be loaded is missed by libucp, which
/// tells.
void* loadWanted(const std::string& wanted) {
  const fs::path file = libraryAt(wanted);
  std::error_code ignored;
  if (!fs::exists(file, ignored)) reject(wanted, "there is no " + file.string());
  const fs::path folder = fs::absolute(file).parent_path();
  const std::string name = file.filename();
  const std::string version = name.substr(std::min(name.size(), std::string("libucp").size()));  // ".so" or ".so.0"
  for (const char* const library : {"libucm", "libucs", "libuct"}) {
    const fs::path needed = folder / (library + version);
    if (fs::exists(needed, ignored)) dlopen(needed.c_str(), RTLD_LAZY | RTLD_LOCAL);
  }
  void* const library = dlopen(fs::absolute(file).c_str(), kLoad);
  if (library == nullptr) reject(wanted, linkerError());
  return library;
}

void* loadSystems() {
  if (void* const library = dlopen(kLibrary, kLoad)) return library;
  throw Error(
      signcclSystemError,
      "ranks in several processes need UCX, which was not found (" + linkerError() +
          "): install it (Debian: libucx0), or set SIGNCCL_UCX_LIBRARY to the path of a libucp.so.0, such as that "
          "of PyPI's libucx-cu12 or libucx-cu13");
}

/// Looks a function up in the library and in those that it is linked with.
template <typename Function>
void find(void* library, const char* name, Function& function) {
  void* const symbol = dlsym(library, name);
  if (symbol == nullptr) {
    throw Error(signcclSystemError, fileOf(library) + " has no " + name + "; expected UCX 1.13 or newer");
  }
  function = reinterpret_cast<Function>(symbol);
}

void readVersion(void* library, UcxLibrary& ucx) {
  decltype(&::ucp_get_version) get_version = nullptr;
  decltype(&::ucp_get_version_string) get_version_string = nullptr;
  find(library, "ucp_get_version", get_version);
  find(library, "ucp_get_version_string", get_version_string);
  unsigned major = 0;
  unsigned patch = 0;
  get_version(&major, &ucx.minor, &patch);
  ucx.version = get_version_string();
  if (major != kUcxMajor || ucx.minor < kOldestUcxMinor) {
    throw Error(signcclSystemError, ucx.file + " is UCX " + ucx.version + "; expected 1.13 or newer, before 2.0");
  }
}

UcxFunctions functionsOf(void* library) {
  UcxFunctions functions{};
  find(library, "ucp_am_data_release", functions.ucp_am_data_release);
  find(library, "ucp_am_recv_data_nbx", functions.ucp_am_recv_data_nbx);
  find(library, "ucp_am_send_nbx", functions.ucp_am_send_nbx);
  find(library, "ucp_cleanup", functions.ucp_cleanup);
  find(library, "ucp_config_modify", functions.ucp_config_modify);
  find(library, "ucp_config_read", functions.ucp_config_read);
  find(library, "ucp_config_release", functions.ucp_config_release);
  find(library, "ucp_ep_close_nbx", functions.ucp_ep_close_nbx);
  find(library, "ucp_ep_create", functions.ucp_ep_create);
  find(library, "ucp_init_version", functions.ucp_init_version);
  find(library, "ucp_request_check_status", functions.ucp_request_check_status);
  find(library, "ucp_request_free", functions.ucp_request_free);
  find(library, "ucp_worker_arm", functions.ucp_worker_arm);
  find(library, "ucp_worker_create", functions.ucp_worker_create);
  find(library, "ucp_worker_destroy", functions.ucp_worker_destroy);
  find(library, "ucp_worker_flush_nbx", functions.ucp_worker_flush_nbx);
  find(library, "ucp_worker_get_efd", functions.ucp_worker_get_efd);
  find(library, "ucp_worker_progress", functions.ucp_worker_progress);
  find(library, "ucp_worker_query", functions.ucp_worker_query);
  find(library, "ucp_worker_release_address", functions.ucp_worker_release_address);
  find(library, "ucp_worker_set_am_recv_handler", functions.ucp_worker_set_am_recv_handler);
  find(library, "ucs_status_string", functions.ucs_status_string);
  return functions;
}

/// Has UCX give up the signals that it took when it was loaded, so that it does not set them again at its end.
void releaseSignals(void* library) {
  using Release = void (*)();
  if (void* const symbol = dlsym(library, "ucs_debug_disable_signals")) reinterpret_cast<Release>(symbol)();
}

void warnOfAnother(const std::string& wanted, const UcxLibrary& loaded) {
  std::error_code ignored;
  const auto folder_of = [](const fs::path& file) { return fs::absolute(file).parent_path(); };
  if (wanted.empty() || fs::equivalent(folder_of(libraryAt(wanted)), folder_of(loaded.file), ignored)) return;
  log(LogLevel::kWarn, Subsystem::kInit, kNoRank, "SIGNCCL_UCX_LIBRARY=", wanted, " is not used: ", loaded.file,
      " was loaded before, and a process can have one UCX only");
}

}  // namespace

UcxLibrary loadUcx(const std::string& wanted) {
  void* library = loadedUcx();
  const bool was_loaded = library != nullptr;
  if (!was_loaded) {
    const SignalKeeper keeper;
    library = wanted.empty() ? loadSystems() : loadWanted(wanted);
    if (!SignalKeeper::userWantsUcxHandlers()) releaseSignals(library);
  }
  UcxLibrary ucx;
  ucx.file = fileOf(library);
  readVersion(library, ucx);
  ucx.functions = functionsOf(library);
  if (was_loaded) warnOfAnother(wanted, ucx);
  log(LogLevel::kInfo, Subsystem::kInit, kNoRank, "UCX ", ucx.version, " of ", ucx.file, ", ",
      was_loaded       ? "which was loaded in this process"
      : wanted.empty() ? "where the dynamic linker finds it"
                       : "as SIGNCCL_UCX_LIBRARY says");
  return ucx;
}

void checkUcx(const UcxFunctions& ucx, ucs_status_t status, const char* call, const std::string& cause) {
  if (status == UCS_OK) return;
  throw Error(signcclSystemError,
              std::string(call) + " failed: " + ucx.ucs_status_string(status) + cause + ucxVariablesOfUser());
}

}  // namespace signccl
