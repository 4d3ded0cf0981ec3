// SPDX-License-Identifier: Apache-2.0
// Structs of older and newer headers than the library's.
#include "base/versioned_struct.h"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signccl {

namespace {

/// A struct that began with `first` and has got `added` and `text` since.
struct Grown {
  std::size_t size;
  unsigned magic;
  unsigned version;
  int first;
  int also_first;
  int added;
  int also_added;
  const char* text;
};

constexpr std::size_t kFirstBytes = offsetof(Grown, added);

}  // namespace

template <>
struct VersionedStruct<Grown> {
  static constexpr StructInfo kInfo{"Grown", "GROWN_INITIALIZER", kFirstBytes, sizeof(Grown)};
  static constexpr Grown kDefaults{
      sizeof(Grown), SIGNCCL_CONFIG_MAGIC, SIGNCCL_VERSION_CODE, -1, -2, 7, 8, "default",
  };
};

namespace {

using testing::AllOf;
using testing::HasSubstr;

/// A Grown as a newer header has it, with two more ints and a pointer.
struct Newer {
  Grown known;
  int unknown;
  int also_unknown;
  const void* pointer;
};

Newer newerDefaults() {
  Newer newer{VersionedStruct<Grown>::kDefaults, SIGNCCL_CONFIG_UNDEF_INT, 0, nullptr};
  newer.known.size = sizeof(Newer);
  newer.known.version = 20304;
  return newer;
}

template <class T>
std::string errorOf(const T& given) {
  try {
    readVersioned(reinterpret_cast<const Grown*>(&given), "config");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), signcclInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(VersionedStructTest, OfTheSameVersionIsReadWhole) {
  Grown given = VersionedStruct<Grown>::kDefaults;
  given.first = 1;
  given.added = 3;
  const Grown read = readVersioned(&given, "config");
  EXPECT_EQ(read.first, 1);
  EXPECT_EQ(read.also_first, -2);
  EXPECT_EQ(read.added, 3);
  EXPECT_STREQ(read.text, "default");
}

TEST(VersionedStructTest, OlderOneGetsDefaultsForFieldsThatItDoesNotHave) {
  // Only the bytes that the older header has are there to be read.
  const auto old = std::make_unique<std::array<std::byte, kFirstBytes>>();
  Grown given = VersionedStruct<Grown>::kDefaults;
  given.size = kFirstBytes;
  given.first = 1;
  std::memcpy(old->data(), &given, kFirstBytes);
  const Grown read = readVersioned(reinterpret_cast<const Grown*>(old->data()), "config");
  EXPECT_EQ(read.size, sizeof(Grown));
  EXPECT_EQ(read.first, 1);
  EXPECT_EQ(read.also_first, -2);
  EXPECT_EQ(read.added, 7);
  EXPECT_EQ(read.also_added, 8);
  EXPECT_STREQ(read.text, "default");
}

TEST(VersionedStructTest, NewerOneWithDefaultsInUnknownFieldsIsRead) {
  Newer given = newerDefaults();
  given.known.added = 5;
  const Grown read = readVersioned(&given.known, "config");
  EXPECT_EQ(read.size, sizeof(Grown));
  EXPECT_EQ(read.added, 5);
}

TEST(VersionedStructTest, NewerOneWithAnUnknownFieldSetIsRefusedWithBothVersionsAndSizes) {
  Newer set = newerDefaults();
  set.also_unknown = 1;
  EXPECT_THAT(errorOf(set),
              AllOf(HasSubstr("config is a Grown of version 2.3.4 with " + std::to_string(sizeof(Newer))),
                    HasSubstr("at byte " + std::to_string(offsetof(Newer, also_unknown))),
                    HasSubstr("version " SIGNCCL_VERSION_STRING " with " + std::to_string(sizeof(Grown)))));
  set = newerDefaults();
  set.unknown = -1;
  EXPECT_THAT(errorOf(set), HasSubstr("at byte " + std::to_string(offsetof(Newer, unknown))));
  set = newerDefaults();
  set.pointer = &set;
  EXPECT_THAT(errorOf(set), HasSubstr("does not know"));
}

TEST(VersionedStructTest, OneThatWasNotInitialisedIsRefused) {
  Grown given = VersionedStruct<Grown>::kDefaults;
  given.magic = 1;
  EXPECT_THAT(errorOf(given), HasSubstr("config was not initialised with GROWN_INITIALIZER (magic 1, expected "));
}

TEST(VersionedStructTest, SizeOfNoVersionIsRefused) {
  for (const std::size_t size :
       {std::size_t{0}, kFirstBytes - 8, kFirstBytes + 4, sizeof(Grown) + 1, std::size_t{4104}, ~std::size_t{7}}) {
    Grown given = VersionedStruct<Grown>::kDefaults;
    given.size = size;
    EXPECT_THAT(errorOf(given), HasSubstr("config->size is " + std::to_string(size) +
                                          ", expected sizeof(Grown), which is " + std::to_string(sizeof(Grown))));
  }
}

TEST(VersionedStructTest, WritesOnlyTheBytesThatTheCallerHas) {
  Grown ours = VersionedStruct<Grown>::kDefaults;
  ours.first = 1;
  Grown theirs{};
  theirs.size = kFirstBytes;
  theirs.added = 42;
  writeVersioned(ours, &theirs, "stats");
  EXPECT_EQ(theirs.size, kFirstBytes);
  EXPECT_EQ(theirs.first, 1);
  EXPECT_EQ(theirs.added, 42);
  EXPECT_EQ(theirs.text, nullptr);
}

TEST(VersionedStructTest, LeavesFieldsOfANewerStructAlone) {
  Newer theirs = newerDefaults();
  theirs.unknown = 42;
  writeVersioned(VersionedStruct<Grown>::kDefaults, &theirs.known, "stats");
  EXPECT_EQ(theirs.known.size, sizeof(Newer));
  EXPECT_EQ(theirs.known.added, 7);
  EXPECT_EQ(theirs.unknown, 42);
}

// The first version's sizes are in programs that are not compiled anew: 0.1.0, 64 bits.
TEST(VersionedStructTest, FirstVersionsOfPublicStructsAreStillAccepted) {
  EXPECT_EQ(VersionedStruct<signcclConfig_t>::kInfo.first_bytes, 56U);
  EXPECT_EQ(VersionedStruct<signcclSignConfig_t>::kInfo.first_bytes, 24U);
  EXPECT_EQ(VersionedStruct<signcclCommStats_t>::kInfo.first_bytes, 80U);
}

}  // namespace
}  // namespace signccl
