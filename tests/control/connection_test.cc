// SPDX-License-Identifier: Apache-2.0
#include "control/connection.h"

#include <functional>
#include <new>
#include <thread>
#include <vector>

#include <asio/ip/v6_only.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "control/eventually.h"
#include "control/raw_peer.h"
#include "control/wire.h"

namespace signccl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A connection, and what its handlers were told. Everything happens in the thread of the test.
class ConnectionTest : public testing::Test {
 protected:
  void start() {
    connection_->start(
        [this](MessageType type, std::string_view payload) {
          frames_.push_back({type, std::string(payload)});
          if (on_frame_) on_frame_();
        },
        [this](const std::string& reason) { reasons_.push_back(reason); });
  }

  /// Runs handlers until it holds that `done()`.
  template <typename Done>
  void runUntil(const Done& done) {
    EXPECT_TRUE(eventually([&] {
      context_.restart();
      context_.poll();
      return done();
    }));
  }
  void runUntilFrames(std::size_t count) {
    runUntil([&] { return frames_.size() >= count; });
  }
  void runUntilClosed() {
    runUntil([&] { return !reasons_.empty(); });
  }
  /// Runs what can run at once.
  void settle() {
    context_.restart();
    context_.poll();
  }

  asio::io_context context_;
  RawListener listener_;
  RawPeer far_{listener_.address()};
  std::shared_ptr<Connection> connection_ = [this] {
    asio::ip::tcp::socket socket(context_);
    socket.assign(asio::ip::tcp::v4(), listener_.accept().release());
    return std::make_shared<Connection>(std::move(socket));
  }();
  std::vector<SentFrame> frames_;
  std::vector<std::string> reasons_;
  std::function<void()> on_frame_;
};

TEST_F(ConnectionTest, FramesArriveWholeAndInOrder) {
  const std::vector<SentFrame> sent = {{MessageType::kHello, "hello"},
                                       {MessageType::kAllLeft, ""},
                                       {MessageType::kGather, std::string(kMaxStrangerPayload, 'x')}};
  for (const SentFrame& frame : sent) far_.send(frame.type, frame.payload);
  start();
  runUntilFrames(sent.size());
  EXPECT_EQ(frames_, sent);
  EXPECT_THAT(reasons_, IsEmpty());
}

TEST_F(ConnectionTest, FrameThatComesByteByByteArrives) {
  start();
  for (const char byte : encodeFrame({MessageType::kHello, "hello"})) {
    EXPECT_THAT(frames_, IsEmpty());
    far_.send({&byte, 1});
    settle();
  }
  runUntilFrames(1);
  EXPECT_THAT(frames_, ElementsAre(SentFrame{MessageType::kHello, "hello"}));
}

TEST_F(ConnectionTest, SentFramesArriveWholeAndInOrder) {
  start();
  connection_->send(MessageType::kLeave, "1");
  connection_->send(MessageType::kAllLeft, "");
  EXPECT_FALSE(connection_->idle());
  runUntil([&] { return connection_->idle(); });
  EXPECT_EQ(far_.receiveFrame(), (SentFrame{MessageType::kLeave, "1"}));
  EXPECT_EQ(far_.receiveFrame(), (SentFrame{MessageType::kAllLeft, ""}));
}

TEST_F(ConnectionTest, OwnAddressIsKnown) { EXPECT_EQ(connection_->localAddress().to_string(), "127.0.0.1"); }

TEST(DualStackTest, OwnAddressIsThatOfVersionFourWhereThePeerUsesIt) {
  asio::io_context context;
  asio::ip::tcp::acceptor acceptor(context);
  asio::error_code no_v6;
  acceptor.open(asio::ip::tcp::v6(), no_v6);
  if (no_v6) GTEST_SKIP() << "this machine has no IPv6";
  acceptor.set_option(asio::ip::v6_only(false));
  acceptor.bind({asio::ip::address_v6::any(), 0});
  acceptor.listen();
  asio::ip::tcp::socket far(context);
  far.connect({asio::ip::address_v4::loopback(), acceptor.local_endpoint().port()});
  EXPECT_EQ(std::make_shared<Connection>(acceptor.accept())->localAddress().to_string(), "127.0.0.1");
}

TEST_F(ConnectionTest, PeerIsKnownByItsAddress) { EXPECT_THAT(connection_->peer(), HasSubstr("127.0.0.1:")); }

TEST_F(ConnectionTest, FrameLargerThanAllowedClosesTheConnectionUntilTrust) {
  start();
  far_.send(MessageType::kGather, std::string(kMaxStrangerPayload + 1, 'x'));
  runUntilClosed();
  EXPECT_THAT(reasons_, ElementsAre(HasSubstr("it announces 65537 bytes, expected at most 65536")));
  EXPECT_THAT(frames_, IsEmpty());
}

TEST_F(ConnectionTest, TrustedConnectionTakesLargerFrames) {
  start();
  connection_->trust();
  far_.send(MessageType::kGather, std::string(kMaxStrangerPayload + 1, 'x'));
  runUntilFrames(1);
  EXPECT_EQ(frames_[0].payload.size(), kMaxStrangerPayload + 1);
}

TEST_F(ConnectionTest, UnknownTypeClosesTheConnection) {
  start();
  far_.send(WireWriter().number(std::uint32_t{0}).number(std::uint8_t{255}).take());
  runUntilClosed();
  EXPECT_THAT(reasons_, ElementsAre(HasSubstr("its type is unknown")));
  EXPECT_TRUE(far_.isDropped());
}

TEST_F(ConnectionTest, PeerThatClosesMidwayIsReportedOnce) {
  start();
  const std::string whole = encodeFrame({MessageType::kHello, "hello"});
  far_.send(whole + whole.substr(0, 7));
  far_.close();
  runUntilClosed();
  settle();
  EXPECT_EQ(frames_.size(), 1U);
  EXPECT_THAT(reasons_, ElementsAre("closed by the peer"));
}

TEST_F(ConnectionTest, PeerThatClosesWhileMuchIsToBeSentIsReportedOnce) {
  far_.send(MessageType::kLeave, "1");
  far_.close();
  for (int i = 0; i < 100; ++i) connection_->send(MessageType::kHeartbeat, std::string(10'000, 'x'));
  start();
  runUntilClosed();
  settle();
  // A reset by the kernel may overtake what the peer sent.
  EXPECT_LE(frames_.size(), 1U);
  EXPECT_EQ(reasons_.size(), 1U);
}

TEST_F(ConnectionTest, ErrorOfTheHandlerClosesTheConnection) {
  on_frame_ = [] { throw Error(signcclRemoteError, "not understood"); };
  start();
  far_.send(MessageType::kLeave, "1");
  far_.send(MessageType::kLeave, "2");
  runUntilClosed();
  EXPECT_EQ(frames_.size(), 1U);
  EXPECT_THAT(reasons_, ElementsAre("not understood"));
}

TEST_F(ConnectionTest, AnyExceptionOfTheHandlerClosesTheConnection) {
  on_frame_ = [] { throw std::bad_alloc(); };
  start();
  far_.send(MessageType::kLeave, "1");
  runUntilClosed();
  EXPECT_EQ(reasons_.size(), 1U);
  EXPECT_TRUE(far_.isDropped());
}

TEST_F(ConnectionTest, HandlerMayCloseTheConnection) {
  on_frame_ = [this] { connection_->close(); };
  start();
  far_.send(MessageType::kLeave, "1");
  far_.send(MessageType::kLeave, "2");
  runUntilFrames(1);
  settle();
  EXPECT_EQ(frames_.size(), 1U);
  EXPECT_THAT(reasons_, IsEmpty());
}

TEST_F(ConnectionTest, SendAfterCloseDoesNothing) {
  start();
  connection_->close();
  connection_->send(MessageType::kLeave, "1");
  EXPECT_TRUE(connection_->idle());
  settle();
  EXPECT_TRUE(far_.isDropped());
  EXPECT_THAT(reasons_, IsEmpty());
}

TEST_F(ConnectionTest, CloseAfterTheLastByteLeftButBeforeThatIsToldIsHarmless) {
  start();
  connection_->send(MessageType::kLeave, std::string(100, '1'));
  connection_->close();
  settle();
  EXPECT_TRUE(connection_->idle());
}

TEST_F(ConnectionTest, CloseWhenSentSendsEverythingFirst) {
  start();
  const std::string large(std::size_t{8} << 20, 'x');
  connection_->send(MessageType::kGather, large);
  connection_->send(MessageType::kLeave, "1");
  connection_->closeWhenSent();
  connection_->send(MessageType::kLeave, "too late");
  std::jthread reader([this, &large] {
    EXPECT_EQ(far_.receiveFrame(), (SentFrame{MessageType::kGather, large}));
    EXPECT_EQ(far_.receiveFrame(), (SentFrame{MessageType::kLeave, "1"}));
    EXPECT_TRUE(far_.isDropped());
  });
  runUntil([&] { return connection_->idle(); });
  reader.join();
}

TEST_F(ConnectionTest, CloseWhenSentClosesAtOnceIfThereIsNothingToSend) {
  start();
  connection_->closeWhenSent();
  EXPECT_TRUE(far_.isDropped());
}

TEST_F(ConnectionTest, ConnectionOutlivesItsOwnerUntilItIsClosed) {
  start();
  const std::weak_ptr<Connection> watched = connection_;
  connection_ = nullptr;
  far_.send(MessageType::kLeave, "1");
  runUntilFrames(1);
  far_.close();
  runUntilClosed();
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace signccl
