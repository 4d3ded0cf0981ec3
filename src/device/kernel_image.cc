// SPDX-License-Identifier: Apache-2.0
#include "device/kernel_image.h"

#include <dlfcn.h>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "kernels/device/image.h"
#include "signccl/version.h"

namespace signccl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWherefrom =
    "install the package of SignCCL that has it, or build SignCCL where nvcc is found, or set SIGNCCL_CUDA_LIBRARY to "
    "its path";

std::string linkerError() {
  const char* const error = dlerror();
  return error == nullptr ? "no reason given" : error;
}

std::string versionText(int code) {
  return std::to_string(code / 10000) + "." + std::to_string(code / 100 % 100) + "." + std::to_string(code % 100);
}

/// The folder of the library, or the program, that holds this code.
fs::path ownFolder() {
  Dl_info info{};
  std::error_code ignored;
  if (dladdr(reinterpret_cast<const void*>(&loadKernelImage), &info) == 0 || info.dli_fname == nullptr) return {};
  return fs::absolute(info.dli_fname, ignored).parent_path();
}

void* loadWanted(const std::string& wanted, fs::path& file) {
  std::error_code ignored;
  file = wanted;
  if (fs::is_directory(file, ignored)) file /= kKernelImageFile;
  if (void* const library = dlopen(fs::absolute(file, ignored).c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  throw Error(signcclInvalidUsage, "SIGNCCL_CUDA_LIBRARY=" + wanted + ": expected the path of " + kKernelImageFile +
                                       ", or of a folder that holds it (" + linkerError() + ")");
}

void* loadOwn(fs::path& file) {
  file = ownFolder() / kKernelImageFile;
  if (void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  throw Error(signcclSystemError, std::string("device memory takes the kernels of ") + kKernelImageFile +
                                      ", which cannot be loaded (" + linkerError() + "): " + kWherefrom);
}

}  // namespace

KernelImage loadKernelImage(const std::string& wanted) {
  fs::path file;
  void* const library = wanted.empty() ? loadOwn(file) : loadWanted(wanted, file);
  KernelImage image;
  image.file = file.string();
  const auto function = reinterpret_cast<decltype(&signcclCudaImage)>(dlsym(library, SIGNCCL_CUDA_IMAGE_FUNCTION));
  if (function == nullptr) {
    throw Error(signcclSystemError, image.file + " has no function " SIGNCCL_CUDA_IMAGE_FUNCTION " and is no " +
                                        kKernelImageFile + ": " + kWherefrom);
  }
  const int version = function(SIGNCCL_VERSION_CODE, &image.data, &image.bytes);
  if (version != SIGNCCL_VERSION_CODE) {
    throw Error(signcclSystemError,
                image.file + " has the kernels of SignCCL " + versionText(version) +
                    ", and this is SignCCL " SIGNCCL_VERSION_STRING "; expected both of one version: " + kWherefrom);
  }
  if (image.data == nullptr || image.bytes == 0) {
    throw Error(signcclSystemError, image.file + " has no kernels in it: " + kWherefrom);
  }
  log(LogLevel::kInfo, Subsystem::kInit, kNoRank, "kernels of ", image.file, ", ", image.bytes, " bytes");
  return image;
}

}  // namespace signccl
