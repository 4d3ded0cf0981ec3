// SPDX-License-Identifier: Apache-2.0
#include "base/versioned_struct.h"

#include <cstdint>
#include <string>

namespace signccl {
namespace {

/// What every versioned struct that is read begins with.
struct Header {
  std::size_t size;
  unsigned magic;
  unsigned version;
};

/// No version of a struct is larger. Keeps a size that is garbage from being followed.
constexpr std::size_t kMaxBytes = 4096;

std::string versionText(unsigned code) {
  return std::to_string(code / 10000) + "." + std::to_string(code / 100 % 100) + "." + std::to_string(code % 100);
}

/// Offset of the first value in [begin, end) that is no default, or `end`. A default is 0, a null pointer or
/// SIGNCCL_CONFIG_UNDEF_INT: every 4 bytes are 0 or that int.
std::size_t firstNonDefault(const void* given, std::size_t begin, std::size_t end) {
  for (std::size_t offset = begin; offset < end; offset += sizeof(std::int32_t)) {
    std::int32_t value = 0;
    std::memcpy(&value, static_cast<const std::byte*>(given) + offset, sizeof value);
    if (value != 0 && value != SIGNCCL_CONFIG_UNDEF_INT) return offset;
  }
  return end;
}

}  // namespace

void checkVersionedSize(std::size_t bytes, const StructInfo& ours, const char* name) {
  if (bytes >= ours.first_bytes && bytes <= kMaxBytes && bytes % alignof(std::size_t) == 0) return;
  throw Error(signcclInvalidArgument, std::string(name) + "->size is " + std::to_string(bytes) + ", expected sizeof(" +
                                          ours.type + "), which is " + std::to_string(ours.bytes) + " in version " +
                                          SIGNCCL_VERSION_STRING);
}

void checkVersioned(const void* given, const StructInfo& ours, const char* name) {
  Header header{};
  std::memcpy(&header, given, sizeof header);
  if (header.magic != SIGNCCL_CONFIG_MAGIC) {
    throw Error(signcclInvalidArgument, std::string(name) + " was not initialised with " + ours.initializer +
                                            " (magic " + std::to_string(header.magic) + ", expected " +
                                            std::to_string(SIGNCCL_CONFIG_MAGIC) + ")");
  }
  checkVersionedSize(header.size, ours, name);
  if (header.size <= ours.bytes) return;
  const std::size_t offset = firstNonDefault(given, ours.bytes, header.size);
  if (offset == header.size) return;
  throw Error(signcclInvalidArgument,
              std::string(name) + " is a " + ours.type + " of version " + versionText(header.version) + " with " +
                  std::to_string(header.size) + " bytes, and sets a field at byte " + std::to_string(offset) +
                  " that this library, version " + SIGNCCL_VERSION_STRING + " with " + std::to_string(ours.bytes) +
                  " bytes, does not know: leave it at its default or load a newer library");
}

}  // namespace signccl
