// SPDX-License-Identifier: Apache-2.0
// Numbers and texts as bytes, for messages between ranks. Little-endian, no padding; docs/wire_format.md.
#ifndef SIGNCCL_CONTROL_WIRE_H_
#define SIGNCCL_CONTROL_WIRE_H_

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace signccl {

class WireWriter {
 public:
  /// Writes into `memory`, whose bytes are dropped and whose capacity is used.
  explicit WireWriter(std::string memory = {}) : bytes_(std::move(memory)) { bytes_.clear(); }

  template <std::integral Integer>
  WireWriter& number(Integer value) {
    auto bits = static_cast<std::make_unsigned_t<Integer>>(value);
    for (std::size_t i = 0; i < sizeof value; ++i) {
      bytes_.push_back(static_cast<char>(bits & 0xffU));
      if constexpr (sizeof value > 1) bits = static_cast<decltype(bits)>(bits >> 8U);
    }
    return *this;
  }

  /// An enumerator that is its own number, in one byte.
  template <typename Enum>
  WireWriter& enumerator(Enum value) {
    return number(static_cast<std::uint8_t>(value));
  }

  /// Its size, then its bytes.
  WireWriter& text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    return raw(value);
  }

  WireWriter& raw(std::string_view bytes) {
    bytes_.append(bytes);
    return *this;
  }

  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// Reads what a WireWriter wrote. The bytes may come from anywhere: every read is checked, and one that finds too few
/// bytes throws Error with signcclRemoteError.
class WireReader {
 public:
  /// `bytes` must outlive the reader.
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  template <std::integral Integer>
  Integer number() {
    const std::string_view bytes = raw(sizeof(Integer));
    std::make_unsigned_t<Integer> bits = 0;
    for (std::size_t i = sizeof(Integer); i-- > 0;) {
      if constexpr (sizeof(Integer) > 1) bits = static_cast<decltype(bits)>(bits << 8U);
      bits = static_cast<decltype(bits)>(bits | static_cast<unsigned char>(bytes[i]));
    }
    return static_cast<Integer>(bits);
  }

  /// What WireWriter::enumerator() wrote, which may be no more than `last`.
  template <typename Enum>
  Enum enumerator(Enum last) {
    const auto value = number<std::uint8_t>();
    if (value > static_cast<std::uint8_t>(last)) fail("an enumerator is unknown");
    return static_cast<Enum>(value);
  }

  std::string text() { return std::string(raw(number<std::uint32_t>())); }

  /// A number of things of which each takes at least `least_bytes`, so that it can be believed before they are read.
  std::uint32_t count(std::size_t least_bytes) {
    const auto value = number<std::uint32_t>();
    if (value > rest_.size() / least_bytes) fail("a count is larger than the message");
    return value;
  }

  std::string_view raw(std::size_t size) {
    if (size > rest_.size()) fail("it is too short");
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  /// Throws unless everything was read.
  void finish() const {
    if (!rest_.empty()) fail("it is too long");
  }

  [[noreturn]] static void fail(const char* what);

 private:
  std::string_view rest_;
};

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_WIRE_H_
