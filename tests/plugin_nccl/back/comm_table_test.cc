// SPDX-License-Identifier: Apache-2.0
// The side table of communicators.
#include "nccl/back/comm_table.h"

#include <memory>

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace signccl::nccl_preload {
namespace {

Comm handleOf(std::uintptr_t number) { return reinterpret_cast<Comm>(number); }

TEST(CommTableTest, AnAddressThatIsUsedAgainIsAnotherCommunicator) {
  CommTable table;
  const std::shared_ptr<Record> first = table.get(handleOf(0x1000));
  EXPECT_EQ(table.get(handleOf(0x1000)), first);
  EXPECT_EQ(table.take(handleOf(0x1000)), first);
  EXPECT_EQ(table.find(handleOf(0x1000)), nullptr);
  EXPECT_NE(table.get(handleOf(0x1000)), first);
}

TEST(CommTableTest, ANameWaitsUntilTheHandleIsWritten) {
  CommTable table;
  Comm handle = nullptr;
  table.expect(&handle, "late");
  EXPECT_EQ(table.get(handleOf(0x2000))->name, "");
  handle = handleOf(0x1000);
  EXPECT_EQ(table.get(handleOf(0x1000))->name, "late");
}

TEST(CommTableTest, ANameDoesNotOutliveItsCommunicator) {
  CommTable table;
  Comm handle = nullptr;
  table.expect(&handle, "first");
  handle = handleOf(0x1000);
  EXPECT_EQ(table.take(handleOf(0x1000)), nullptr) << "it was never used";
  EXPECT_EQ(table.get(handleOf(0x1000))->name, "");
}

TEST(CommTableTest, AVariableThatIsUsedAgainForgetsTheNameBefore) {
  CommTable table;
  Comm handle = nullptr;
  table.expect(&handle, "first");
  table.expect(&handle, "");
  handle = handleOf(0x1000);
  EXPECT_EQ(table.get(handleOf(0x1000))->name, "");
}

TEST(CommTableTest, ASettledHandleNeedsItsVariableNoMore) {
  CommTable table;
  Comm handle = handleOf(0x1000);
  table.expect(&handle, "name");
  table.settle(&handle);
  handle = nullptr;
  EXPECT_EQ(table.get(handleOf(0x1000))->name, "name");
}

TEST(CommTableTest, AVariableWhoseMemoryIsGoneIsNotRead) {
  CommTable table;
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(page, MAP_FAILED);
  table.expect(static_cast<Comm*>(page), "name");
  ASSERT_EQ(munmap(page, 4096), 0);
  EXPECT_EQ(table.get(handleOf(0x1000))->name, "");
}

TEST(CommTableTest, NamesOfMalformedConfigurationsAreNotRead) {
  Config config{};
  config.size = sizeof(config);
  config.magic = kMagic;
  config.comm_name = "name";
  EXPECT_EQ(nameIn(&config), "name");
  EXPECT_EQ(nameIn(nullptr), "");
  config.size = offsetof(Config, comm_name);
  EXPECT_EQ(nameIn(&config), "") << "a version before names";
  config.size = sizeof(config);
  config.magic = 1;
  EXPECT_EQ(nameIn(&config), "");
}

}  // namespace
}  // namespace signccl::nccl_preload
