// SPDX-License-Identifier: Apache-2.0
#include "transport_contract.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <numeric>
#include <random>
#include <string>
#include <thread>

#include "support/caught.h"
#include "support/rank_threads.h"

namespace signccl {

using namespace std::chrono_literals;

Request& Endpoint::send(Rank peer, Tag tag, ConstBytes bytes, std::uint32_t note) {
  Request& request = requests_.emplace_back();
  request.note = note;
  transport_->send(peer, tag, bytes, request);
  return request;
}

Request& Endpoint::recv(Rank peer, Tag tag, Bytes memory, Landing landing) {
  Request& request = requests_.emplace_back();
  transport_->recv(peer, tag, memory, landing, request);
  return request;
}

void Endpoint::progress() {
  std::vector<Request*> completed;
  transport_->progress(completed);
  for (const Request* request : completed) EXPECT_TRUE(completed_.insert(request).second) << "completed twice";
}

void TransportContractTest::connect(int nranks) {
  for (auto& transport : GetParam().make(nranks)) endpoints_.emplace_back(std::move(transport));
}

bool TransportContractTest::isComplete(const Request& request) const {
  return std::any_of(endpoints_.begin(), endpoints_.end(), [&](const Endpoint& e) { return e.isComplete(request); });
}

void TransportContractTest::finish(std::initializer_list<const Request*> requests) {
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  const auto done = [&] {
    return std::all_of(requests.begin(), requests.end(), [&](const Request* r) { return isComplete(*r); });
  };
  while (!done()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "a request is never completed";
    for (Endpoint& endpoint : endpoints_) endpoint.progress();
  }
}

void TransportContractTest::settle() {
  constexpr int kRounds = 200;
  for (int i = 0; i < kRounds; ++i) {
    for (Endpoint& endpoint : endpoints_) endpoint.progress();
  }
}

namespace {

std::string textOf(ConstBytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

TEST_P(TransportContractTest, ReceivePostedBeforeTheSendGetsTheMessage) {
  connect(2);
  const std::string sent = "hello";
  Room room(sent.size());
  const Request& receive = at(1).recv(0, {.exchange = 7, .slice = 1, .ordinal = 2}, room.bytes());
  settle();
  EXPECT_FALSE(isComplete(receive));
  const Request& send = at(0).send(1, {.exchange = 7, .slice = 1, .ordinal = 2}, bytesOf(sent));
  finish({&receive, &send});
  EXPECT_EQ(textOf(receive.data), sent);
  EXPECT_EQ(room.text(), sent);
  EXPECT_EQ(receive.peer, 0);
  EXPECT_EQ(send.peer, 1);
}

TEST_P(TransportContractTest, MessageThatNobodyExpectsWaitsForItsReceive) {
  connect(2);
  const std::string sent = "early";
  const Request& send = at(0).send(1, {}, bytesOf(sent));
  settle();
  Room room(sent.size());
  const Request& receive = at(1).recv(0, {}, room.bytes());
  finish({&receive, &send});
  EXPECT_EQ(room.text(), sent);
}

TEST_P(TransportContractTest, MessagesMatchByTagAndNeverByOrder) {
  connect(2);
  // Tags that differ in one field each.
  const std::vector<Tag> tags = {{1, 1, 1}, {2, 1, 1}, {1, 2, 1}, {1, 1, 2}, {std::uint64_t{1} << 40, 1, 1}};
  std::vector<std::size_t> order(tags.size());
  std::iota(order.begin(), order.end(), 0U);
  const std::vector<std::string> messages = {"one", "two", "three", "four", "five"};
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    std::vector<Room> rooms;
    for (const std::string& message : messages) rooms.emplace_back(message.size());
    std::vector<const Request*> requests;
    const auto tag_of = [&](std::size_t i) {
      Tag tag = tags[i];
      tag.exchange += static_cast<std::uint64_t>(round) * 10;
      return tag;
    };
    std::shuffle(order.begin(), order.end(), random);
    for (std::size_t i = 0; i < 2; ++i) requests.push_back(&at(1).recv(0, tag_of(order[i]), rooms[order[i]].bytes()));
    std::vector<std::size_t> sending = order;
    std::shuffle(sending.begin(), sending.end(), random);
    for (const std::size_t i : sending) requests.push_back(&at(0).send(1, tag_of(i), bytesOf(messages[i])));
    at(1).progress();
    for (std::size_t i = 2; i < order.size(); ++i) {
      requests.push_back(&at(1).recv(0, tag_of(order[i]), rooms[order[i]].bytes()));
    }
    for (const Request* request : requests) finish({request});
    for (std::size_t i = 0; i < messages.size(); ++i) EXPECT_EQ(rooms[i].text(), messages[i]);
  }
}

TEST_P(TransportContractTest, EqualTagsOfDifferentPeersDoNotMix) {
  connect(3);
  const std::string from_one = "from 1";
  const std::string from_two = "from 2";
  Room first(6);
  Room second(6);
  const Request& send_two = at(2).send(0, {}, bytesOf(from_two));
  const Request& send_one = at(1).send(0, {}, bytesOf(from_one));
  const Request& receive_one = at(0).recv(1, {}, first.bytes());
  const Request& receive_two = at(0).recv(2, {}, second.bytes());
  finish({&send_one, &send_two, &receive_one, &receive_two});
  EXPECT_EQ(first.text(), from_one);
  EXPECT_EQ(second.text(), from_two);
}

TEST_P(TransportContractTest, MessageMayBeEmpty) {
  connect(2);
  for (const Landing landing : {Landing::kCopy, Landing::kBorrow}) {
    const Tag tag{.exchange = static_cast<std::uint64_t>(landing)};
    const Request& send = at(0).send(1, tag, {});
    Request& receive = at(1).recv(0, tag, {}, landing);
    finish({&receive});
    EXPECT_TRUE(receive.data.empty());
    at(1).transport().release(receive);
    finish({&send});
  }
}

TEST_P(TransportContractTest, BorrowedMessageStaysReadableAndItsSendOpenUntilRelease) {
  connect(2);
  const std::string sent = "votes";
  Room room(sent.size());
  const Request& send = at(0).send(1, {}, bytesOf(sent));
  Request& receive = at(1).recv(0, {}, room.bytes(), Landing::kBorrow);
  finish({&receive});
  settle();
  EXPECT_EQ(textOf(receive.data), sent);
  const bool is_lent = receive.data.data() == bytesOf(sent).data();
  EXPECT_TRUE(!is_lent || !isComplete(send)) << "the sender may overwrite what the receiver still reads";
  at(1).transport().release(receive);
  finish({&send});
}

TEST_P(TransportContractTest, NoteTravelsWithItsMessage) {
  connect(2);
  // The last one is larger than what any transport sends without asking first.
  const std::vector<std::string> messages = {"", "a few bytes", std::string(300'000, 'x')};
  std::uint64_t exchange = 0;
  for (const std::string& message : messages) {
    for (const Landing landing : {Landing::kCopy, Landing::kBorrow}) {
      for (const bool is_posted_first : {false, true}) {
        const Tag tag{.exchange = ++exchange};
        const auto note = static_cast<std::uint32_t>(0x8000 + exchange);
        Room room(message.size());
        Request* receive = is_posted_first ? &at(1).recv(0, tag, room.bytes(), landing) : nullptr;
        settle();
        const Request& send = at(0).send(1, tag, bytesOf(message), note);
        settle();
        if (receive == nullptr) receive = &at(1).recv(0, tag, room.bytes(), landing);
        finish({receive});
        EXPECT_EQ(receive->note, note) << message.size() << " bytes";
        EXPECT_EQ(textOf(receive->data), message);
        at(1).transport().release(*receive);
        finish({&send});
      }
    }
  }
}

TEST_P(TransportContractTest, SecondReleaseDoesNothing) {
  connect(2);
  const std::string sent = "votes";
  Room room(sent.size());
  const Request& send = at(0).send(1, {}, bytesOf(sent));
  Request& receive = at(1).recv(0, {}, room.bytes(), Landing::kBorrow);
  finish({&receive});
  at(1).transport().release(receive);
  at(1).transport().release(receive);
  settle();
  EXPECT_TRUE(isComplete(send));
}

TEST_P(TransportContractTest, SenderMayOverwriteItsMemoryWhenTheSendIsComplete) {
  connect(2);
  std::string memory = "first";
  Room room(memory.size());
  const Request& receive = at(1).recv(0, {}, room.bytes());
  const Request& send = at(0).send(1, {}, bytesOf(memory));
  finish({&send});
  memory = "?????";
  finish({&receive});
  EXPECT_EQ(room.text(), "first");
}

TEST_P(TransportContractTest, RankMaySendToItself) {
  connect(1);
  const std::string sent = "me";
  Room room(sent.size());
  const Request& send = at(0).send(0, {}, bytesOf(sent));
  const Request& receive = at(0).recv(0, {}, room.bytes());
  finish({&send, &receive});
  EXPECT_EQ(room.text(), sent);
}

TEST_P(TransportContractTest, CountersCountMessagesAndBytesOfBothDirections) {
  connect(2);
  const std::string sent = "12345";
  Room room(sent.size());
  const Request& send = at(0).send(1, {.ordinal = 0}, bytesOf(sent));
  const Request& empty_send = at(0).send(1, {.ordinal = 1}, {});
  const Request& receive = at(1).recv(0, {.ordinal = 0}, room.bytes());
  const Request& empty_receive = at(1).recv(0, {.ordinal = 1}, {});
  finish({&send, &empty_send, &receive, &empty_receive});
  const TransportCounters sender = at(0).transport().counters();
  EXPECT_EQ(sender.messages_sent, 2U);
  EXPECT_EQ(sender.bytes_sent, 5U);
  EXPECT_EQ(sender.messages_received, 0U);
  EXPECT_EQ(sender.bytes_received, 0U);
  const TransportCounters receiver = at(1).transport().counters();
  EXPECT_EQ(receiver.messages_sent, 0U);
  EXPECT_EQ(receiver.bytes_sent, 0U);
  EXPECT_EQ(receiver.messages_received, 2U);
  EXPECT_EQ(receiver.bytes_received, 5U);
}

const Caught kMisfit{signcclInternalError, "rank 1 expected 4 bytes from rank 0 and got 5"};

TEST_P(TransportContractTest, MessageThatDoesNotFitAPostedReceiveIsAnErrorWithBothSizes) {
  connect(2);
  const std::string sent = "12345";
  Room room(4);
  const Request& receive = at(1).recv(0, {}, room.bytes());
  at(0).send(1, {}, bytesOf(sent));
  EXPECT_EQ(caught([&] { finish({&receive}); }), kMisfit);
  EXPECT_EQ(room.text(), "????");
}

TEST_P(TransportContractTest, EarlyMessageThatDoesNotFitItsReceiveIsAnErrorWithBothSizes) {
  connect(2);
  const std::string sent = "12345";
  Room room(4);
  at(0).send(1, {}, bytesOf(sent));
  settle();
  const Caught error = caught([&] { finish({&at(1).recv(0, {}, room.bytes())}); });
  EXPECT_EQ(error, kMisfit);
  EXPECT_EQ(room.text(), "????");
}

// A wait that misses what should end it lasts this long, so that the test fails by its time limit.
constexpr auto kForever = std::chrono::duration_cast<std::chrono::microseconds>(1h);

TEST_P(TransportContractTest, WakeEndsTheWaitOfAnotherThread) {
  connect(1);
  std::atomic<bool> is_over = false;
  std::jthread waiter([&] {
    at(0).transport().wait(kForever);
    is_over = true;
  });
  at(0).transport().wake();
  waiter.join();
  EXPECT_TRUE(is_over);
}

TEST_P(TransportContractTest, WakeBeforeAWaitEndsIt) {
  connect(1);
  at(0).transport().wake();
  at(0).transport().wait(kForever);
  at(0).transport().wake();
  at(0).progress();
  at(0).transport().wait(kForever);
}

TEST_P(TransportContractTest, ArrivalEndsAWait) {
  connect(2);
  const std::string sent = "now";
  Room room(sent.size());
  std::jthread receiver([&] {
    const Request& receive = at(1).recv(0, {}, room.bytes());
    while (!at(1).isComplete(receive)) {
      at(1).transport().wait(kForever);
      at(1).progress();
    }
  });
  const Request& send = at(0).send(1, {}, bytesOf(sent));
  while (!at(0).isComplete(send)) {
    at(0).progress();
    if (!at(0).isComplete(send)) at(0).transport().wait(kForever);
  }
  while (!at(0).transport().flush()) at(0).progress();
  receiver.join();
  EXPECT_EQ(room.text(), sent);
}

TEST_P(TransportContractTest, WaitReturnsAtOnceWhileACompletionIsUntold) {
  connect(2);
  const std::string sent = "early";
  at(0).send(1, {}, bytesOf(sent));
  // Over a network a connection takes longer than to settle: what was sent later has arrived when this goes on.
  at(0).send(1, {.ordinal = 1}, {});
  finish({&at(1).recv(0, {.ordinal = 1}, {})});
  settle();
  Room room(sent.size());
  const Request& receive = at(1).recv(0, {}, room.bytes());
  while (!at(1).isComplete(receive)) {
    at(1).transport().wait(kForever);
    at(1).progress();
  }
  EXPECT_EQ(room.text(), sent);
}

TEST_P(TransportContractTest, WaitEndsByItself) {
  connect(1);
  at(0).transport().wait(1ms);
}

/// Every rank sends messages of changing sizes to every rank and checks those that it gets, in an order of its own.
void exchangeManyMessages(Endpoint& self, Rank rank, int nranks) {
  constexpr std::uint32_t kMessages = 200;
  const auto message_of = [](Rank from, Rank to, std::uint32_t number) {
    return std::string(number % 50, static_cast<char>('a' + (from * 5 + to * 3 + static_cast<Rank>(number)) % 26));
  };
  std::vector<std::pair<Rank, std::uint32_t>> sends;
  for (Rank peer = 0; peer < nranks; ++peer) {
    for (std::uint32_t number = 0; number < kMessages; ++number) sends.emplace_back(peer, number);
  }
  auto receives = sends;
  std::mt19937 random(static_cast<unsigned>(rank));
  std::shuffle(sends.begin(), sends.end(), random);
  std::shuffle(receives.begin(), receives.end(), random);

  std::deque<std::string> sent;
  std::deque<Room> rooms;
  std::vector<Request*> requests;
  for (std::size_t i = 0; i < sends.size(); ++i) {
    const auto [to, number] = sends[i];
    sent.push_back(message_of(rank, to, number));
    requests.push_back(&self.send(to, {.ordinal = number}, bytesOf(sent.back()), number));
    const auto [from, expected] = receives[i];
    rooms.emplace_back(message_of(from, rank, expected).size());
    Request& receive =
        self.recv(from, {.ordinal = expected}, rooms.back().bytes(), i % 2 == 0 ? Landing::kBorrow : Landing::kCopy);
    receive.user = i + 1;
    requests.push_back(&receive);
    if (i % 7 == 0) self.progress();
  }
  for (Request* request : requests) {
    if (request->user == 0) continue;
    while (!self.isComplete(*request)) self.progress();
    const auto [from, number] = receives[request->user - 1];
    EXPECT_EQ(textOf(request->data), message_of(from, rank, number));
    EXPECT_EQ(request->note, number);
    self.transport().release(*request);
  }
  while (!std::all_of(requests.begin(), requests.end(), [&](const Request* r) { return self.isComplete(*r); })) {
    self.progress();
    self.transport().wait(100us);
  }
  while (!self.transport().flush()) self.progress();
}

TEST_P(TransportContractTest, EveryMessageOfManyThreadsArrivesUnharmed) {
  constexpr int kRanks = 4;
  connect(kRanks);
  runAsRanks(kRanks, [&](Rank rank) { exchangeManyMessages(at(rank), rank, kRanks); });
}

}  // namespace
}  // namespace signccl
