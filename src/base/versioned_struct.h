// SPDX-License-Identifier: Apache-2.0
// Structs of the public header that grow at their end from version to version (its convention 6): reads those that an
// older or a newer header made, and writes into them.
#ifndef SIGNCCL_BASE_VERSIONED_STRUCT_H_
#define SIGNCCL_BASE_VERSIONED_STRUCT_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "base/error.h"
#include "signccl/lion.h"

namespace signccl {

/// A struct of the public header: its name, that of its initializer, and its size in the first version that had it.
struct StructInfo {
  const char* type;
  const char* initializer;
  std::size_t first_bytes;
  std::size_t bytes;  ///< in this version
};

/// What StructInfo says of T, and what its initializer writes.
template <class T>
struct VersionedStruct;

template <>
struct VersionedStruct<signcclConfig_t> {
  static constexpr StructInfo kInfo{"signcclConfig_t", "SIGNCCL_CONFIG_INITIALIZER", 56, sizeof(signcclConfig_t)};
  static constexpr signcclConfig_t kDefaults = SIGNCCL_CONFIG_INITIALIZER;
};

template <>
struct VersionedStruct<signcclSignConfig_t> {
  static constexpr StructInfo kInfo{"signcclSignConfig_t", "SIGNCCL_SIGN_CONFIG_INITIALIZER", 24,
                                    sizeof(signcclSignConfig_t)};
  static constexpr signcclSignConfig_t kDefaults = SIGNCCL_SIGN_CONFIG_INITIALIZER;
};

template <>
struct VersionedStruct<signcclLionConfig_t> {
  static constexpr StructInfo kInfo{"signcclLionConfig_t", "SIGNCCL_LION_CONFIG_INITIALIZER", 112,
                                    sizeof(signcclLionConfig_t)};
  static constexpr signcclLionConfig_t kDefaults = SIGNCCL_LION_CONFIG_INITIALIZER;
};

template <>
struct VersionedStruct<signcclLionStepConfig_t> {
  static constexpr StructInfo kInfo{"signcclLionStepConfig_t", "SIGNCCL_LION_STEP_INITIALIZER", 56,
                                    sizeof(signcclLionStepConfig_t)};
  static constexpr signcclLionStepConfig_t kDefaults = SIGNCCL_LION_STEP_INITIALIZER;
};

template <>
struct VersionedStruct<signcclCommStats_t> {
  static constexpr StructInfo kInfo{"signcclCommStats_t", nullptr, 80, sizeof(signcclCommStats_t)};
};

template <>
struct VersionedStruct<signcclSumOutcome_t> {
  static constexpr StructInfo kInfo{"signcclSumOutcome_t", "SIGNCCL_SUM_OUTCOME_INITIALIZER", 32,
                                    sizeof(signcclSumOutcome_t)};
};

/// Throws signcclInvalidArgument unless the struct at `given`, which begins with size, magic and version, is one that
/// this library understands. Reads as many bytes as its size says. `name` is the argument's name, for messages.
void checkVersioned(const void* given, const StructInfo& ours, const char* name);

/// Throws signcclInvalidArgument unless a version of the struct can have `bytes` bytes.
void checkVersionedSize(std::size_t bytes, const StructInfo& ours, const char* name);

/// Reads a struct that the caller's header made: takes defaults for the fields that an older one did not have. One of a
/// newer header must hold defaults in the fields that are unknown here. Throws signcclInvalidArgument.
template <class T>
T readVersioned(const T* given, const char* name) {
  static_assert(std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T>);
  static_assert(std::has_unique_object_representations_v<T>, "padding would be read as the value of a later field");
  checkVersioned(given, VersionedStruct<T>::kInfo, name);
  T read = VersionedStruct<T>::kDefaults;
  std::size_t given_bytes = 0;
  std::memcpy(&given_bytes, given, sizeof given_bytes);
  if (given_bytes >= sizeof read) {  // of this version or a newer one, as nearly all are: a copy of known size is cheap
    std::memcpy(&read, given, sizeof read);
  } else {
    std::memcpy(&read, given, given_bytes);
  }
  read.size = sizeof read;
  return read;
}

/// Writes the fields of `ours` that the caller's struct has, except for its size. Fields of a newer header are left
/// alone. Throws signcclInvalidArgument if its size is that of no version.
template <class T>
void writeVersioned(const T& ours, T* given, const char* name) {
  static_assert(std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T>);
  std::size_t given_bytes = 0;
  std::memcpy(&given_bytes, given, sizeof given_bytes);
  checkVersionedSize(given_bytes, VersionedStruct<T>::kInfo, name);
  T written = ours;
  written.size = given_bytes;
  std::memcpy(given, &written, std::min(given_bytes, sizeof written));
}

}  // namespace signccl

#endif  // SIGNCCL_BASE_VERSIONED_STRUCT_H_
