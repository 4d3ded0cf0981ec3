// SPDX-License-Identifier: Apache-2.0
#include "run/libraries.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run/folder.h"

namespace signccl::run {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(LibrariesTest, TheyAreFoundInAnInstalledTreeAndInAWheel) {
  const Folder folder;
  const std::string mpi = folder.putLibrary("lib/libsignccl_mpi.so");
  const std::string nccl = folder.putLibrary("lib/signccl/preload/libnccl.so.2");
  const auto found = [&](Wanted wanted) { return findLibraries(wanted, folder.path() / "bin").paths; };
  EXPECT_THAT(found(Wanted::kAuto), ElementsAre(mpi, nccl));
  EXPECT_THAT(found(Wanted::kMpi), ElementsAre(mpi));
  EXPECT_THAT(found(Wanted::kNccl), ElementsAre(nccl));
}

TEST(LibrariesTest, TheyAreFoundInABuildTree) {
  const Folder folder;
  const std::string mpi = folder.putLibrary("plugin/mpi/libsignccl_mpi.so");
  const std::string nccl = folder.putLibrary("src/api/signccl/preload/libnccl.so.2");
  EXPECT_THAT(findLibraries(Wanted::kAuto, folder.path() / "plugin/run").paths, ElementsAre(mpi, nccl));
}

TEST(LibrariesTest, OneOfThemIsEnoughUnlessTheOtherIsNamed) {
  const Folder folder;
  const std::string nccl = folder.putLibrary("lib/signccl/preload/libnccl.so.2");
  const Libraries automatic = findLibraries(Wanted::kAuto, folder.path() / "bin");
  EXPECT_THAT(automatic.paths, ElementsAre(nccl));
  EXPECT_EQ(automatic.problem, "");
  const Libraries mpi = findLibraries(Wanted::kMpi, folder.path() / "bin");
  EXPECT_TRUE(mpi.paths.empty());
  EXPECT_THAT(mpi.problem, HasSubstr("the library for MPI cannot be preloaded:\n  " + folder.at("lib") +
                                     "/libsignccl_mpi.so: No such file or directory"));
}

TEST(LibrariesTest, AFileThatIsNoLibraryIsNamed) {
  const Folder folder;
  const std::string mpi = folder.write("lib/libsignccl_mpi.so", "text");
  EXPECT_THAT(findLibraries(Wanted::kAuto, folder.path() / "bin").problem, HasSubstr(mpi + ": it is no ELF file"));
}

}  // namespace
}  // namespace signccl::run
