// SPDX-License-Identifier: Apache-2.0
// What libsignccl_cuda.so gives to those who load it. That it exports nothing else: tests/install/check_image.sh.
#include "kernels/device/image.h"

#include <cstdint>
#include <cstring>
#include <dlfcn.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "signccl/version.h"

namespace signccl {
namespace {

/// The head of a fatbin.
struct FatbinHeader {
  uint32_t magic;
  uint16_t version;
  uint16_t header_bytes;
  uint64_t content_bytes;
};

struct Image {
  int version = 0;
  const void* address = nullptr;
  size_t bytes = 0;
};

/// What the library gives to callers of a version.
Image imageFor(int version) {
  void* library = dlopen(SIGNCCL_CUDA_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  EXPECT_NE(library, nullptr) << dlerror();
  if (library == nullptr) return {};
  const auto function = reinterpret_cast<decltype(&signcclCudaImage)>(dlsym(library, SIGNCCL_CUDA_IMAGE_FUNCTION));
  EXPECT_NE(function, nullptr);
  if (function == nullptr) return {};
  Image image{0, &image, 1};
  image.version = function(version, &image.address, &image.bytes);
  dlclose(library);
  return image;
}

TEST(CudaImageTest, IsAFatbinOfTheSizeThatItsHeadSays) {
  const Image image = imageFor(SIGNCCL_VERSION_CODE);
  ASSERT_NE(image.address, nullptr);
  ASSERT_GT(image.bytes, sizeof(FatbinHeader));
  FatbinHeader header{};
  std::memcpy(&header, image.address, sizeof(header));
  EXPECT_EQ(header.magic, 0xBA55ED50);
  EXPECT_EQ(header.header_bytes + header.content_bytes, image.bytes);
  EXPECT_EQ(image.version, SIGNCCL_VERSION_CODE);
}

TEST(CudaImageTest, StaysWhereItIsWhenTheLibraryIsClosed) {
  const Image image = imageFor(SIGNCCL_VERSION_CODE);
  EXPECT_EQ(imageFor(SIGNCCL_VERSION_CODE).address, image.address);
  EXPECT_NE(dlopen(SIGNCCL_CUDA_LIBRARY, RTLD_NOW | RTLD_NOLOAD), nullptr);
}

TEST(CudaImageTest, AnotherVersionOfTheLibraryGetsNone) {
  for (const int version : {0, SIGNCCL_VERSION_CODE - 1, SIGNCCL_VERSION_CODE + 1}) {
    const Image image = imageFor(version);
    EXPECT_EQ(image.address, nullptr);
    EXPECT_EQ(image.bytes, 0);
    EXPECT_EQ(image.version, SIGNCCL_VERSION_CODE) << "which tells the caller what is wrong";
  }
}

}  // namespace
}  // namespace signccl
