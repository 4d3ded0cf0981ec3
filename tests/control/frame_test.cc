// SPDX-License-Identifier: Apache-2.0
#include "control/frame.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "control/raw_peer.h"
#include "control/wire.h"
#include "support/caught.h"

namespace signccl {
namespace {

/// Feeds a stream to a parser, as much as it asks for at a time.
std::vector<SentFrame> parse(FrameParser& parser, std::string_view stream) {
  std::vector<SentFrame> frames;
  while (true) {
    const std::span<char> wanted = parser.wanted();
    EXPECT_FALSE(wanted.empty());
    if (wanted.empty() || stream.size() < wanted.size()) return frames;
    std::copy_n(stream.begin(), wanted.size(), wanted.begin());
    stream.remove_prefix(wanted.size());
    if (const auto frame = parser.advance()) frames.push_back({frame->type, std::string(frame->payload)});
  }
}

std::string header(std::size_t size, int type) {
  return WireWriter().number(static_cast<std::uint32_t>(size)).number(static_cast<std::uint8_t>(type)).take();
}

TEST(FrameTest, FramesComeBackInOrder) {
  const std::vector<SentFrame> sent = {{MessageType::kHello, "hello"},
                                       {MessageType::kAllLeft, ""},
                                       {MessageType::kAllLeft, ""},
                                       {MessageType::kOverdue, std::string(kMaxStrangerPayload, 'x')},
                                       {MessageType::kLeave, "1"}};
  std::string stream;
  for (const SentFrame& frame : sent) stream += encodeFrame({frame.type, frame.payload});
  FrameParser parser;
  EXPECT_EQ(parse(parser, stream), sent);
}

TEST(FrameTest, IncompleteFrameIsNotGiven) {
  const std::string whole = encodeFrame({MessageType::kHello, "hello"});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    FrameParser parser;
    EXPECT_TRUE(parse(parser, whole.substr(0, size)).empty());
  }
}

TEST(FrameTest, LimitIsThatOfStrangersUntilTrust) {
  FrameParser stranger;
  EXPECT_EQ(
      caught([&] { parse(stranger, header(kMaxStrangerPayload + 1, 1)); }),
      (Caught{signcclRemoteError, "malformed control message: it announces 65537 bytes, expected at most 65536"}));
  FrameParser rank;
  rank.trust();
  const std::string payload(kMaxStrangerPayload + 1, 'x');
  EXPECT_EQ(parse(rank, encodeFrame({MessageType::kHello, payload})).size(), 1U);
  EXPECT_EQ(caught([&] { parse(rank, header(kMaxPayload + 1, 1)); }).code, signcclRemoteError);
}

TEST(FrameTest, UnknownTypesAreRefusedBeforeTheirPayload) {
  for (const int type : {0, static_cast<int>(kLastMessageType) + 1, 255}) {
    FrameParser parser;
    EXPECT_EQ(caught([&] { parse(parser, header(0, type)); }),
              (Caught{signcclRemoteError, "malformed control message: its type is unknown"}));
  }
}

TEST(FrameTest, PayloadThatNobodyWouldAcceptIsNotSent) {
  const std::string payload(kMaxPayload + 1, 'x');
  EXPECT_EQ(caught([&] { encodeFrame({MessageType::kGather, payload}); }).code, signcclInternalError);
}

}  // namespace
}  // namespace signccl
