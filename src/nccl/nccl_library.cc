// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_library.h"

#include <dlfcn.h>
#include <filesystem>
#include <link.h>
#include <memory>
#include <mutex>
#include <system_error>

#include "base/error.h"
#include "base/fork.h"
#include "base/log.h"

namespace signccl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSoname = "libnccl.so.2";
constexpr const char* kWherefrom =
    "install NVIDIA's package libnccl2, or Python's nvidia-nccl-cu12 or nvidia-nccl-cu13 and name its libnccl.so.2 in "
    "SIGNCCL_NCCL_LIBRARY; with SIGNCCL_TRANSPORT unset none is needed";

struct Loaded {
  std::mutex mutex;
  std::unique_ptr<const NcclLibrary> library;
};

PerProcess<Loaded>& loaded() {
  static PerProcess<Loaded> loaded;
  return loaded;
}

std::string linkerError() {
  const char* const error = dlerror();
  return error == nullptr ? "no reason given" : error;
}

std::string fileOf(void* library) {
  link_map* map = nullptr;
  return dlinfo(library, RTLD_DI_LINKMAP, static_cast<void*>(&map)) == 0 ? map->l_name : kSoname;
}

/// RTLD_LOCAL: another part of the process may come with a newer NCCL, whose symbols these must not hide.
void* loadWanted(const std::string& wanted) {
  std::error_code ignored;
  fs::path file = wanted;
  if (fs::is_directory(file, ignored)) file /= kSoname;
  if (void* const library = dlopen(fs::absolute(file, ignored).c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  throw Error(signcclInvalidUsage, "SIGNCCL_NCCL_LIBRARY=" + wanted + ": expected the path of " + kSoname +
                                       ", or of a folder that holds it (" + linkerError() + ")");
}

void* loadPlain() {
  if (void* const library = dlopen(kSoname, RTLD_NOW | RTLD_LOCAL)) return library;
  throw Error(signcclSystemError, std::string("SIGNCCL_TRANSPORT=nccl needs NCCL, and ") + kSoname +
                                      " cannot be loaded (" + linkerError() + "): " + kWherefrom);
}

NcclLibrary load(const std::string& wanted) {
  const char* why = "it was loaded already";
  void* library = dlopen(kSoname, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
  if (library == nullptr) {
    why = wanted.empty() ? "the dynamic linker found it" : "SIGNCCL_NCCL_LIBRARY names it";
    library = wanted.empty() ? loadPlain() : loadWanted(wanted);
  }
  NcclLibrary nccl = ncclLibraryOf(library);
  log(LogLevel::kInfo, Subsystem::kInit, kNoRank, "NCCL ", ncclVersionText(nccl.version), " of ", nccl.file, ": ", why);
  return nccl;
}

}  // namespace

const NcclLibrary& loadNccl(const std::string& wanted) {
  Loaded& all = loaded().get();
  const std::lock_guard lock(all.mutex);
  if (!all.library) all.library = std::make_unique<const NcclLibrary>(load(wanted));
  return *all.library;
}

std::string ncclVersionText(int version) {
  return std::to_string(version / 10'000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

NcclLibrary ncclLibraryOf(void* library) {
  NcclLibrary nccl;
  nccl.file = fileOf(library);
  const char* missing = nullptr;
#define SIGNCCL_FIND(result, name, parameters)                              \
  nccl.name = reinterpret_cast<decltype(nccl.name)>(dlsym(library, #name)); \
  if (nccl.name == nullptr && missing == nullptr) missing = #name;
  SIGNCCL_NCCL_FUNCTIONS(SIGNCCL_FIND)
#undef SIGNCCL_FIND
  if (nccl.ncclGetVersion != nullptr) nccl.ncclGetVersion(&nccl.version);
  // The version first: an older one may lack functions.
  if (nccl.version != 0 && nccl.version < kOldestNccl) {
    throw Error(signcclSystemError, nccl.file + " is NCCL " + ncclVersionText(nccl.version) + ", expected " +
                                        ncclVersionText(kOldestNccl) + " or newer: " + kWherefrom);
  }
  if (missing != nullptr) {
    throw Error(signcclSystemError, nccl.file + " has no function " + missing + ", expected NCCL " +
                                        ncclVersionText(kOldestNccl) + " or newer: " + kWherefrom);
  }
  return nccl;
}

}  // namespace signccl
