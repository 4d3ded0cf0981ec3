// SPDX-License-Identifier: Apache-2.0
#include "control/messages.h"

#include <functional>

#include <gtest/gtest.h>

#include "control/example_messages.h"
#include "control/wire.h"
#include "support/caught.h"

namespace signccl {
namespace {

/// A type of message: an example of it, and what its decoder makes of bytes, encoded again.
struct MessageKind {
  const char* name;
  std::string example;
  std::function<std::string(std::string_view)> again;

  friend std::ostream& operator<<(std::ostream& stream, const MessageKind& kind) { return stream << kind.name; }
};

std::vector<MessageKind> kinds() {
  return {{"Hello", encode(exampleHello()), [](auto bytes) { return encode(decodeHello(bytes)); }},
          {"Roster", encode(exampleRoster()), [](auto bytes) { return encode(decodeRoster(bytes)); }},
          {"Failure", encode(exampleFailure()), [](auto bytes) { return encode(decodeFailure(bytes)); }},
          {"Announce", encode(exampleAnnounce()), [](auto bytes) { return encode(decodeAnnounce(bytes)); }},
          {"Left", encode(exampleLeft()), [](auto bytes) { return encode(decodeLeft(bytes)); }},
          {"Gather", encode(exampleGather()), [](auto bytes) { return encode(decodeGather(bytes)); }},
          {"Gathered", encode(exampleGathered()), [](auto bytes) { return encode(decodeGathered(bytes)); }},
          {"Missing", encode(exampleMissing()), [](auto bytes) { return encode(decodeMissing(bytes)); }},
          {"Overdue", encode(exampleGather().id), [](auto bytes) { return encode(decodeGatheringId(bytes)); }},
          {"Number", encodeNumber(77), [](auto bytes) { return encodeNumber(decodeNumber(bytes)); }}};
}

class MessageKindTest : public testing::TestWithParam<MessageKind> {};

TEST_P(MessageKindTest, ComesBackWithAllItsBytes) {
  EXPECT_EQ(GetParam().again(GetParam().example), GetParam().example);
}

TEST_P(MessageKindTest, EveryTruncationIsRefused) {
  const std::string& whole = GetParam().example;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // Memory of exactly that size, so that a sanitizer sees a read beyond it.
    const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(caught([&] { GetParam().again({cut.data(), cut.size()}); }).code, signcclRemoteError) << size;
  }
}

TEST_P(MessageKindTest, TrailingBytesAreRefused) {
  EXPECT_EQ(caught([&] { GetParam().again(GetParam().example + '\0'); }),
            (Caught{signcclRemoteError, "malformed control message: it is too long"}));
}

TEST_P(MessageKindTest, EveryOtherByteIsRefusedOrComesBack) {
  for (std::size_t i = 0; i < GetParam().example.size(); ++i) {
    for (const int other : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::string bytes = GetParam().example;
      bytes[i] = static_cast<char>(other);
      std::string again;
      const Caught refused = caught([&] { again = GetParam().again(bytes); });
      if (refused.code != signcclSuccess) {
        EXPECT_EQ(refused.code, signcclRemoteError);
      } else if (std::string_view(GetParam().name) != "Hello") {
        // Of a Hello of another wire version only the beginning is read.
        EXPECT_EQ(again, bytes);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Messages, MessageKindTest, testing::ValuesIn(kinds()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(MessagesTest, HelloComesBackWithEveryField) {
  const HelloMessage sent = exampleHello();
  const HelloMessage got = decodeHello(encode(sent));
  EXPECT_EQ(got.wire_version, kWireVersion);
  EXPECT_EQ(got.secret, sent.secret);
  EXPECT_EQ(got.rank, 1);
  EXPECT_EQ(got.nranks, 3);
  EXPECT_EQ(got.version, sent.version);
  EXPECT_EQ(got.info, sent.info);
  EXPECT_EQ(got.settings, sent.settings);
}

TEST(MessagesTest, RosterComesBackWithEveryField) {
  const RosterMessage got = decodeRoster(encode(exampleRoster()));
  EXPECT_EQ(got.group, kExampleSecret);
  EXPECT_EQ(got.hub_process, 1U);
  EXPECT_EQ(got.ranks, exampleRoster().ranks);
}

TEST(MessagesTest, AnnounceComesBackWithEveryField) {
  const AnnounceMessage got = decodeAnnounce(encode(exampleAnnounce(3)));
  EXPECT_EQ(got.exchange, 3U);
  EXPECT_EQ(got.signature, exampleAnnounce().signature);
}

TEST(MessagesTest, OtherMessagesComeBackWithEveryField) {
  EXPECT_EQ(decodeFailure(encode(exampleFailure())).code, signcclTimeout);
  EXPECT_EQ(decodeFailure(encode(exampleFailure())).message, exampleFailure().message);
  EXPECT_EQ(decodeFailure(encode(exampleFailure())).scope, exampleFailure().scope);
  EXPECT_EQ(decodeFailure(encode(exampleFailure())).gone, exampleFailure().gone);
  EXPECT_EQ(decodeLeft(encode(exampleLeft())).rank, 2);
  EXPECT_EQ(decodeLeft(encode(exampleLeft())).begun, std::uint64_t{1} << 33);
  EXPECT_EQ(decodeGather(encode(exampleGather())).id, exampleGather().id);
  EXPECT_EQ(decodeGather(encode(exampleGather())).part, exampleGather().part);
  EXPECT_EQ(decodeGathered(encode(exampleGathered())).id, exampleGathered().id);
  EXPECT_EQ(decodeGathered(encode(exampleGathered())).parts, exampleGathered().parts);
  EXPECT_EQ(decodeMissing(encode(exampleMissing())).exchange, 9U);
  EXPECT_EQ(decodeMissing(encode(exampleMissing())).ranks, exampleMissing().ranks);
  EXPECT_EQ(decodeNumber(encodeNumber(~std::uint64_t{0})), ~std::uint64_t{0});
}

TEST(MessagesTest, EmptyListsComeBack) {
  HelloMessage hello = exampleHello();
  hello.settings.clear();
  EXPECT_TRUE(decodeHello(encode(hello)).settings.empty());
  EXPECT_TRUE(decodeRoster(encode(RosterMessage{})).ranks.empty());
  EXPECT_TRUE(decodeAnnounce(encode(AnnounceMessage{})).signature.empty());
  EXPECT_TRUE(decodeGathered(encode(GatheredMessage{})).parts.empty());
  EXPECT_TRUE(decodeMissing(encode(MissingMessage{})).ranks.empty());
  EXPECT_TRUE(decodeFailure(encode(Failure{signcclTimeout, "late"})).gone.empty());
}

TEST(MessagesTest, HelloOfAnotherWireVersionHasItsVersionAndSecretAlone) {
  HelloMessage hello = exampleHello();
  hello.wire_version = kWireVersion + 1;
  // What follows the secret may mean anything then.
  const HelloMessage got = decodeHello(encode(hello).substr(0, 30) + "whatever");
  EXPECT_EQ(got.wire_version, kWireVersion + 1);
  EXPECT_EQ(got.secret, hello.secret);
  EXPECT_EQ(got.rank, 0);
  EXPECT_TRUE(got.version.empty());
}

TEST(MessagesTest, HelloWithoutItsMagicIsRefused) {
  std::string bytes = encode(exampleHello());
  bytes[0] = 'T';
  EXPECT_EQ(caught([&] { decodeHello(bytes); }),
            (Caught{signcclRemoteError, "malformed control message: it is no greeting of a rank"}));
}

TEST(MessagesTest, CountsThatTheMessageCannotHoldAreRefused) {
  const Caught expected{signcclRemoteError, "malformed control message: a count is larger than the message"};
  const std::string many = WireWriter().number(~std::uint32_t{0}).take();
  HelloMessage hello = exampleHello();
  hello.settings.clear();
  std::string bytes = encode(hello);
  bytes.replace(bytes.size() - many.size(), many.size(), many);
  EXPECT_EQ(caught([&] { decodeHello(bytes); }), expected);
  EXPECT_EQ(caught([&] { decodeRoster(std::string(24, '\0') + many); }), expected);
  EXPECT_EQ(caught([&] { decodeGathered(std::string(9, '\0') + many); }), expected);
  EXPECT_EQ(caught([&] { decodeMissing(std::string(8, '\0') + many); }), expected);
  std::string failure = encode(Failure{signcclTimeout, "late"});
  failure.replace(failure.size() - many.size(), many.size(), many);
  EXPECT_EQ(caught([&] { decodeFailure(failure); }), expected);
}

TEST(MessagesTest, UnknownEnumeratorsAreRefused) {
  const Caught expected{signcclRemoteError, "malformed control message: an enumerator is unknown"};
  std::string gather = encode(exampleGather());
  gather[0] = 100;
  EXPECT_EQ(caught([&] { decodeGather(gather); }), expected);
  const std::string good = encode(Failure{signcclTimeout, "late"});
  for (const std::size_t place : {std::size_t{0}, good.size() - 5}) {  // code and scope
    std::string bytes = good;
    bytes[place] = 100;
    EXPECT_EQ(caught([&] { decodeFailure(bytes); }), expected) << place;
  }
}

TEST(MessagesTest, FailureThatIsNoneIsRefused) {
  EXPECT_EQ(caught([] { decodeFailure(encode(Failure{signcclSuccess, "fine"})); }),
            (Caught{signcclRemoteError, "malformed control message: a failure says that all is well"}));
}

}  // namespace
}  // namespace signccl
