// SPDX-License-Identifier: Apache-2.0
#include "run/preload_list.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "run/folder.h"

namespace signccl::run {
namespace {

TEST(PreloadListTest, WhatIsThereStaysBehind) {
  EXPECT_EQ(preloadList({"/a/mpi.so", "/a/nccl.so"}, ""), "/a/mpi.so:/a/nccl.so");
  EXPECT_EQ(preloadList({"/a/mpi.so"}, "/b/darshan.so  /b/tool.so:"), "/a/mpi.so:/b/darshan.so:/b/tool.so");
}

TEST(PreloadListTest, RuntimesOfSanitizersStayInFront) {
  EXPECT_EQ(preloadList({"/a/mpi.so"}, "/b/tool.so:/usr/lib/libasan.so.8:/usr/lib/libclang_rt.asan-x86_64.so"),
            "/usr/lib/libasan.so.8:/usr/lib/libclang_rt.asan-x86_64.so:/a/mpi.so:/b/tool.so");
}

TEST(PreloadListTest, ALibraryIsNotNamedTwice) {
  const Folder folder;
  const std::string library = folder.putLibrary("mpi.so");
  std::filesystem::create_symlink(library, folder.at("link.so"));
  EXPECT_EQ(preloadList({library}, folder.at("link.so") + ":/b/tool.so:" + library), library + ":/b/tool.so");
}

}  // namespace
}  // namespace signccl::run
