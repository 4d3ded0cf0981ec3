// SPDX-License-Identifier: Apache-2.0
#include "run/elf_file.h"

#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "run/folder.h"

namespace signccl::run {
namespace {

std::string bytesOf(const std::string& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

/// The empty library with another byte in its header.
std::string changedLibrary(const Folder& folder, std::size_t place, char value) {
  std::string bytes = bytesOf(SIGNCCL_EMPTY_LIBRARY);
  bytes.at(place) = value;
  return folder.write("changed.so", bytes);
}

TEST(ElfFileTest, ALibraryOfThisMachineCanBePreloaded) { EXPECT_EQ(whyNotPreloaded(SIGNCCL_EMPTY_LIBRARY), ""); }

TEST(ElfFileTest, WhatIsNoLibraryOfThisMachineCannotBePreloaded) {
  const Folder folder;
  EXPECT_EQ(whyNotPreloaded(folder.at("missing.so")), "No such file or directory");
  EXPECT_EQ(whyNotPreloaded(folder.write("text.so", "GROUP ( libc.so.6 )")), "it is no ELF file");
  EXPECT_EQ(whyNotPreloaded(folder.write("empty.so", "")), "it is no ELF file");
  EXPECT_EQ(whyNotPreloaded(folder.path().string()), "it is no ELF file");
  constexpr std::size_t kClass = 4;
  constexpr std::size_t kType = 16;
  constexpr std::size_t kMachine = 18;
  EXPECT_EQ(whyNotPreloaded(changedLibrary(folder, kClass, 1)), "it was built for another kind of machine");
  EXPECT_EQ(whyNotPreloaded(changedLibrary(folder, kMachine, 2)), "it was built for another kind of machine");
  EXPECT_EQ(whyNotPreloaded(changedLibrary(folder, kType, 1)), "it is no shared library");
}

TEST(ElfFileTest, APathWithABlankOrAColonCannotBePreloaded) {
  const Folder folder;
  EXPECT_EQ(whyNotPreloaded(folder.putLibrary("a b.so")), "LD_PRELOAD cannot name a path with a blank or a colon");
  EXPECT_EQ(whyNotPreloaded(folder.putLibrary("a:b.so")), "LD_PRELOAD cannot name a path with a blank or a colon");
}

TEST(ElfFileTest, AStaticProgramNamesNoDynamicLinker) {
  EXPECT_FALSE(readElf(SIGNCCL_STATIC_PROGRAM)->is_dynamic);
  EXPECT_TRUE(readElf("/proc/self/exe")->is_dynamic);
}

TEST(ElfFileTest, AHeaderThatLiesIsRead) {
  const Folder folder;
  std::string bytes = bytesOf("/proc/self/exe").substr(0, 64);
  for (std::size_t i = 32; i < 64; ++i) bytes[i] = '\xff';
  EXPECT_FALSE(readElf(folder.write("short", bytes))->is_dynamic);
}

}  // namespace
}  // namespace signccl::run
