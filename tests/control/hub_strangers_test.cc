// SPDX-License-Identifier: Apache-2.0
// What strangers send to a hub does no harm to the job that meets there.
#include <ostream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "control/hub_test_support.h"
#include "control/job.h"
#include "control/wire.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;

constexpr auto kLong = std::chrono::duration_cast<std::chrono::milliseconds>(1h);

struct Stranger {
  const char* name;
  std::string bytes;
  std::string reason;  ///< in the log

  friend std::ostream& operator<<(std::ostream& stream, const Stranger& stranger) { return stream << stranger.name; }
};

std::string helloFrame(const std::string& payload) { return encodeFrame({MessageType::kHello, payload}); }

std::string announcing(std::uint32_t size) {
  return WireWriter().number(size).number(static_cast<std::uint8_t>(MessageType::kHello)).take();
}

HelloMessage withWrongSecret(HelloMessage hello) {
  hello.secret[15] ^= 1;
  return hello;
}

std::vector<Stranger> strangers() {
  const std::string hello = encode(exampleHello());
  HelloMessage many_settings = exampleHello();
  many_settings.settings.clear();
  std::string too_many = encode(many_settings);
  too_many.replace(too_many.size() - 4, 4, "\xff\xff\xff\xff");
  HelloMessage of_another_version = withWrongSecret(exampleHello());
  of_another_version.wire_version = kWireVersion + 1;
  return {
      {"Garbage", std::string(1000, '\xff'), "it announces 4294967295 bytes, expected at most 65536"},
      {"Zeros", std::string(1000, '\0'), "its type is unknown"},
      {"Http", "GET / HTTP/1.1\r\nHost: hub\r\n\r\n", "it announces 542393671 bytes, expected at most 65536"},
      {"Tls", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), "it announces 33620758 bytes"},
      {"Ssh", "SSH-2.0-OpenSSH_9.2\r\n", "it announces 759714643 bytes"},
      {"OversizedGreeting", announcing(kMaxStrangerPayload + 1), "it announces 65537 bytes"},
      {"LargestGreeting", announcing(kMaxStrangerPayload) + std::string(kMaxStrangerPayload, 'x'),
       "it is no greeting of a rank"},
      {"EmptyGreeting", announcing(0), "it is too short"},
      {"UnknownType", std::string("\x00\x00\x00\x00\xff", 5), "its type is unknown"},
      {"OtherMessageFirst", encodeFrame({MessageType::kLeave, encodeNumber(0)}), "it does not begin with a greeting"},
      {"FailureFirst", encodeFrame({MessageType::kFailure, encode(exampleFailure())}),
       "it does not begin with a greeting"},
      {"TruncatedGreeting", helloFrame(hello.substr(0, hello.size() / 2)), "it is too short"},
      {"GreetingWithMoreBehindIt", helloFrame(hello + "more"), "it is too long"},
      {"GreetingWithTooManySettings", helloFrame(too_many), "a count is larger than the message"},
      {"WrongSecret", helloFrame(encode(withWrongSecret(exampleHello()))), "it has a wrong secret"},
      {"WrongSecretOfAnotherWireVersion", helloFrame(encode(of_another_version)), "it has a wrong secret"},
  };
}

class StrangerTest : public HubTest, public testing::WithParamInterface<Stranger> {};

TEST_P(StrangerTest, IsDroppedAndLoggedAndTheJobGoesOn) {
  const MeetingPoint point = openHub();
  const JobRank first(point, 0, 3);
  const RawPeer stranger(point.address);
  stranger.send(GetParam().bytes);
  EXPECT_TRUE(stranger.isDropped());
  EXPECT_TRUE(isLogged("dropped a connection from 127.0.0.1:"));
  EXPECT_TRUE(isLogged(GetParam().reason)) << read("log");
  const std::vector<JobRank> others = joinAll(point, 3, 1);
  expectReady(others, 3);
}

INSTANTIATE_TEST_SUITE_P(Strangers, StrangerTest, testing::ValuesIn(strangers()),
                         [](const auto& test) { return std::string(test.param.name); });

class HubStrangersTest : public HubTest {};

TEST_F(HubStrangersTest, GreetingThatEndsMidwayIsLogged) {
  const MeetingPoint point = openHub();
  {
    const RawPeer stranger(point.address);
    stranger.send(helloFrame(encode(exampleHello())).substr(0, 30));
  }
  EXPECT_TRUE(isLogged("closed by the peer"));
  expectReady(joinAll(point, 2), 2);
}

TEST_F(HubStrangersTest, GreetingThatComesByteByByteIsTaken) {
  const MeetingPoint point = openHub();
  const RawPeer slow(point.address);
  for (const char byte : helloFrame(encode(exampleHello(0, 2)))) slow.send({&byte, 1});
  const JobRank other(point, 1, 2);
  const auto roster = slow.receiveMessage();
  ASSERT_TRUE(roster);
  EXPECT_EQ(roster->type, MessageType::kRoster);
}

TEST_F(HubStrangersTest, SilentConnectionIsDroppedAfterAWhile) {
  const MeetingPoint point = openHub({.greeting_time = 100ms});
  const JobRank first(point, 0, 2);
  const RawPeer silent(point.address);
  EXPECT_TRUE(silent.isDropped());
  EXPECT_TRUE(isLogged("it did not say who it is"));
  const JobRank second(point, 1, 2);
  first->awaitReady(in(kPatience));
}

TEST_F(HubStrangersTest, GreetingThatTakesTooLongIsDroppedAlthoughItsBytesKeepComing) {
  const MeetingPoint point = openHub({.greeting_time = 100ms});
  const RawPeer slow(point.address);
  std::jthread sender([&](const std::stop_token& stop) {
    slow.send(announcing(kMaxStrangerPayload));
    while (!stop.stop_requested()) {
      slow.send("x");
      std::this_thread::sleep_for(20ms);
    }
  });
  EXPECT_TRUE(slow.isDropped());
  EXPECT_TRUE(isLogged("it did not say who it is"));
  sender = {};
  expectReady(joinAll(point, 2), 2);
}

TEST_F(HubStrangersTest, TooManySilentConnectionsDropTheOldest) {
  const MeetingPoint point = openHub({.greeting_time = kLong, .most = 3});
  std::vector<RawPeer> silent;
  for (int i = 0; i < 5; ++i) silent.emplace_back(point.address);
  EXPECT_TRUE(silent[0].isDropped());
  EXPECT_TRUE(silent[1].isDropped());
  EXPECT_TRUE(isLogged("too many others do not say who they are either"));
  // The hub still listens to the others.
  for (Rank rank = 0; rank < 3; ++rank) {
    const RawPeer& other = silent[static_cast<std::size_t>(rank) + 2];
    EXPECT_TRUE(other.isOpenAndSilent());
    other.send(helloFrame(encode(exampleHello(rank, 3))));
  }
  EXPECT_EQ(silent[4].receiveMessage()->type, MessageType::kRoster);
}

TEST_F(HubStrangersTest, HundredsOfSilentConnectionsDoNotStopTheJob) {
  const MeetingPoint point = openHub({.greeting_time = kLong, .most = 100});
  const JobRank first(point, 0, 4);
  std::vector<RawPeer> silent;
  for (int i = 0; i < 300; ++i) silent.emplace_back(point.address);
  const std::vector<JobRank> others = joinAll(point, 4, 1);
  expectReady(others, 4);
  EXPECT_TRUE(silent.front().isDropped());
}

TEST_F(HubStrangersTest, ConnectionsThatComeAndGoDoNotStopTheJob) {
  const MeetingPoint point = openHub();
  std::jthread scanner([&](const std::stop_token& stop) {
    for (int i = 0; i < 2000 && !stop.stop_requested(); ++i) {
      try {
        const RawPeer stranger(point.address);
        if (i % 2 == 0) stranger.send(std::string(static_cast<std::size_t>(i) % 90, '\1'));
      } catch (const std::runtime_error&) {
        return;  // all ranks are there: the hub does not listen any more
      }
    }
  });
  std::vector<JobRank> ranks;
  for (Rank rank = 0; rank < 8; ++rank) {
    ranks.emplace_back(point, rank, 8);
    std::this_thread::sleep_for(10ms);
  }
  expectReady(ranks, 8);
}

}  // namespace
}  // namespace signccl
