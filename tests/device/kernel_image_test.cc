// SPDX-License-Identifier: Apache-2.0
#include "device/kernel_image.h"

#include <cstring>
#include <filesystem>

#include <gmock/gmock.h>

#include "signccl/version.h"
#include "support/caught.h"

namespace signccl {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kWherefrom =
    ": install the package of SignCCL that has it, or build SignCCL where nvcc is found, or set SIGNCCL_CUDA_LIBRARY "
    "to its path";

/// The folder of a library that poses as that of the kernels.
std::string folderOf(const std::string& variant) { return SIGNCCL_TESTS_FAKE_KERNELS + variant; }

std::string fileOf(const std::string& variant) { return folderOf(variant) + "/libsignccl_cuda.so"; }

TEST(KernelImageTest, FileOrFolderOfTheSettingIsTaken) {
  for (const std::string& wanted : {fileOf("good"), folderOf("good")}) {
    const KernelImage image = loadKernelImage(wanted);
    EXPECT_EQ(image.file, fileOf("good"));
    EXPECT_EQ(image.bytes, 6U);
    EXPECT_EQ(std::memcmp(image.data, "fatbin", image.bytes), 0);
  }
}

TEST(KernelImageTest, WithoutSettingItIsLookedForBesideThisCode) {
  const Caught error = caught([] { loadKernelImage(""); });
  EXPECT_EQ(error.code, signcclSystemError);
  const std::string here = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libsignccl_cuda.so";
  EXPECT_THAT(
      error.message,
      AllOf(StartsWith("device memory takes the kernels of libsignccl_cuda.so, which cannot be loaded (" + here),
            HasSubstr(kWherefrom)));
}

TEST(KernelImageTest, SettingThatNamesNothingIsRefused) {
  const Caught error = caught([] { loadKernelImage("/nowhere/libsignccl_cuda.so"); });
  EXPECT_EQ(error.code, signcclInvalidUsage);
  EXPECT_THAT(
      error.message,
      StartsWith("SIGNCCL_CUDA_LIBRARY=/nowhere/libsignccl_cuda.so: expected the path of libsignccl_cuda.so, or "
                 "of a folder that holds it (/nowhere/libsignccl_cuda.so: "));
}

TEST(KernelImageTest, KernelsOfAnotherVersionAreRefusedWithBothVersions) {
  EXPECT_EQ(
      caught([] { loadKernelImage(fileOf("other_version")); }),
      (Caught{signcclSystemError, fileOf("other_version") + " has the kernels of SignCCL 9.8.7, and this is SignCCL " +
                                      SIGNCCL_VERSION_STRING + "; expected both of one version" + kWherefrom}));
}

TEST(KernelImageTest, LibraryThatIsSomethingElseIsRefused) {
  EXPECT_EQ(
      caught([] { loadKernelImage(fileOf("something_else")); }),
      (Caught{signcclSystemError, fileOf("something_else") +
                                      " has no function signcclCudaImage and is no libsignccl_cuda.so" + kWherefrom}));
}

TEST(KernelImageTest, LibraryWithoutKernelsIsRefused) {
  EXPECT_EQ(caught([] { loadKernelImage(fileOf("empty")); }),
            (Caught{signcclSystemError, fileOf("empty") + " has no kernels in it" + kWherefrom}));
}

}  // namespace
}  // namespace signccl
