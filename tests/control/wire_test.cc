// SPDX-License-Identifier: Apache-2.0
#include "control/wire.h"

#include <limits>

#include <gtest/gtest.h>

#include "support/caught.h"

namespace signccl {
namespace {

Caught malformed(const std::string& what) { return {signcclRemoteError, "malformed control message: " + what}; }

TEST(WireTest, NumbersAreLittleEndianWithoutPadding) {
  const std::string bytes = WireWriter()
                                .number(std::uint8_t{0x01})
                                .number(std::uint16_t{0x0302})
                                .number(std::uint32_t{0x07060504})
                                .number(std::uint64_t{0x0f0e0d0c0b0a0908})
                                .take();
  ASSERT_EQ(bytes.size(), 15U);
  for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(bytes[i], static_cast<char>(i + 1));
}

template <typename Integer>
void expectRoundTrip(Integer value) {
  const std::string bytes = WireWriter().number(value).take();
  WireReader reader(bytes);
  EXPECT_EQ(reader.number<Integer>(), value);
  reader.finish();
}

template <typename Integer>
void expectRoundTripOfLimits() {
  for (const Integer value : {std::numeric_limits<Integer>::min(), std::numeric_limits<Integer>::max(), Integer{0},
                              Integer{1}, static_cast<Integer>(-1)}) {
    expectRoundTrip(value);
  }
}

TEST(WireTest, EveryNumberComesBack) {
  expectRoundTripOfLimits<std::uint8_t>();
  expectRoundTripOfLimits<std::int8_t>();
  expectRoundTripOfLimits<std::uint16_t>();
  expectRoundTripOfLimits<std::int16_t>();
  expectRoundTripOfLimits<std::uint32_t>();
  expectRoundTripOfLimits<std::int32_t>();
  expectRoundTripOfLimits<std::uint64_t>();
  expectRoundTripOfLimits<std::int64_t>();
}

TEST(WireTest, EveryTextComesBack) {
  const std::string texts[] = {"", "text", std::string("\0zero", 5), std::string(100'000, 'x')};
  WireWriter writer;
  for (const std::string& text : texts) writer.text(text);
  const std::string bytes = writer.take();
  WireReader reader(bytes);
  for (const std::string& text : texts) EXPECT_EQ(reader.text(), text);
  reader.finish();
}

TEST(WireTest, NumberThatIsCutOffIsAnError) {
  WireReader reader("abc");
  EXPECT_EQ(caught([&] { reader.number<std::uint32_t>(); }), malformed("it is too short"));
}

TEST(WireTest, TextLongerThanTheRestIsAnErrorAndNoAllocation) {
  const std::string bytes = WireWriter().number(std::numeric_limits<std::uint32_t>::max()).raw("short").take();
  WireReader reader(bytes);
  EXPECT_EQ(caught([&] { reader.text(); }), malformed("it is too short"));
}

TEST(WireTest, CountThatTheRestCannotHoldIsAnError) {
  const auto read = [](std::uint32_t count, std::size_t rest) {
    const std::string bytes = WireWriter().number(count).raw(std::string(rest, 'x')).take();
    WireReader reader(bytes);
    return caught([&] { reader.count(8); });
  };
  EXPECT_EQ(read(2, 16), Caught{});
  EXPECT_EQ(read(2, 15), malformed("a count is larger than the message"));
  EXPECT_EQ(read(0, 0), Caught{});
  // 8 times this overflows 32 bits.
  EXPECT_EQ(read(0x2000'0001, 16), malformed("a count is larger than the message"));
}

TEST(WireTest, EnumeratorsTakeAByteAndHaveALast) {
  enum class Letter : std::uint8_t { kA, kB, kC };
  const std::string bytes = WireWriter().enumerator(Letter::kB).enumerator(Letter::kC).take();
  ASSERT_EQ(bytes.size(), 2U);
  WireReader reader(bytes);
  EXPECT_EQ(reader.enumerator(Letter::kB), Letter::kB);
  EXPECT_EQ(caught([&] { reader.enumerator(Letter::kB); }), malformed("an enumerator is unknown"));
}

TEST(WireTest, BytesThatNobodyReadAreAnError) {
  WireReader reader("ab");
  reader.number<std::uint8_t>();
  EXPECT_EQ(caught([&] { reader.finish(); }), malformed("it is too long"));
}

}  // namespace
}  // namespace signccl
