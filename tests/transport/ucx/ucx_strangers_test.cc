// SPDX-License-Identifier: Apache-2.0
// Active messages that no rank of the communicator sent: dropped or left alone, and the ranks go on.
#include <algorithm>
#include <cstring>
#include <malloc.h>
#include <vector>

#include <gtest/gtest.h>

#include "control/wire.h"
#include "transport/ucx/ucx_transport.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// A worker of UCX that sends whatever header a test wants.
class RawSender {
 public:
  explicit RawSender(const std::string& address) : context_(UcxContext::open("")) {
    ucp_worker_params_t params{};
    checkUcx(ucx_, ucx_.ucp_worker_create(context_->get(), &params, &worker_), "ucp_worker_create");
    ucp_ep_params_t to{};
    to.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE;
    to.address = reinterpret_cast<const ucp_address_t*>(address.data() + address.find('\n') + 1);
    to.err_mode = UCP_ERR_HANDLING_MODE_PEER;
    checkUcx(ucx_, ucx_.ucp_ep_create(worker_, &to, &endpoint_), "ucp_ep_create");
  }
  ~RawSender() {
    ucp_request_param_t param{};
    param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
    param.flags = UCP_EP_CLOSE_FLAG_FORCE;
    finish(ucx_.ucp_ep_close_nbx(endpoint_, &param), [] {});
    ucx_.ucp_worker_destroy(worker_);
  }
  RawSender(const RawSender&) = delete;
  RawSender& operator=(const RawSender&) = delete;

  /// Sends a message and has `progressPeer` called until it has arrived.
  template <typename ProgressPeer>
  void send(const std::string& header, const std::string& payload, const ProgressPeer& progress_peer) {
    ucp_request_param_t param{};
    finish(ucx_.ucp_am_send_nbx(endpoint_, 0, header.data(), header.size(), payload.data(), payload.size(), &param),
           progress_peer);
    finish(ucx_.ucp_worker_flush_nbx(worker_, &param), progress_peer);
  }

 private:
  template <typename ProgressPeer>
  void finish(ucs_status_ptr_t operation, const ProgressPeer& progress_peer) {
    if (!UCS_PTR_IS_PTR(operation)) return;
    const auto deadline = steady_clock::now() + 60s;
    while (ucx_.ucp_request_check_status(operation) == UCS_INPROGRESS) {
      ASSERT_LT(steady_clock::now(), deadline) << "a message is never sent";
      ucx_.ucp_worker_progress(worker_);
      progress_peer();
    }
    ucx_.ucp_request_free(operation);
  }

  std::shared_ptr<UcxContext> context_;
  const UcxFunctions& ucx_ = context_->ucx();
  ucp_worker_h worker_ = nullptr;
  ucp_ep_h endpoint_ = nullptr;
};

/// What the ranks of a group share, as docs/wire_format.md splits it up.
constexpr std::uint64_t kMask = 0x1122334455667788;
constexpr std::uint32_t kNumber = 0x99aabbcc;
constexpr GroupKey kGroup{0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xcc, 0xbb, 0xaa, 0x99};

/// The header of a message as docs/wire_format.md has it.
std::string header(const Tag& tag, int source, std::uint64_t mask = kMask, std::uint32_t number = kNumber) {
  return WireWriter()
      .number(tag.exchange)
      .number(tag.slice)
      .number(tag.ordinal)
      .number(tag.digest ^ mask)
      .number(number)
      .number(static_cast<std::int16_t>(source))
      .number(std::uint16_t{0})
      .take();
}

class UcxStrangersTest : public testing::Test {
 protected:
  UcxStrangersTest() : rank_(UcxContext::open(""), 0, 2, {.group = kGroup}), sender_(rank_.address()) {
    rank_.setAddresses({rank_.address(), rank_.address()});
    rank_.recv(1, kExpected, memory_, Landing::kCopy, receive_);
  }

  void send(const std::string& header, const std::string& payload) {
    sender_.send(header, payload, [this] { rank_.progress(completed_); });
    const auto end = steady_clock::now() + 20ms;
    while (steady_clock::now() < end) rank_.progress(completed_);
  }

  /// Whether the message that the rank waits for still arrives as it was sent.
  void expectGoesOn() {
    EXPECT_TRUE(completed_.empty());
    send(header(kExpected, 1), std::string(memory_.size(), 'm'));
    const auto deadline = steady_clock::now() + 60s;
    while (completed_.empty()) {
      ASSERT_LT(steady_clock::now(), deadline) << "the message never arrives";
      rank_.progress(completed_);
    }
    EXPECT_EQ(completed_, std::vector<Request*>{&receive_});
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(memory_.data()), memory_.size()), std::string(8, 'm'));
    EXPECT_EQ(rank_.counters().messages_received, 1U);
  }

  const Tag kExpected{.exchange = 3, .slice = 1, .ordinal = 2, .digest = 77};
  std::vector<std::byte> memory_ = std::vector<std::byte>(8);
  Request receive_;
  std::vector<Request*> completed_;
  UcxTransport rank_;
  RawSender sender_;
};

TEST_F(UcxStrangersTest, HeaderOfAnotherSizeIsDropped) {
  const std::string whole = header(kExpected, 1);
  for (const std::size_t size : {0U, 1U, 8U, 31U}) send(whole.substr(0, size), "12345678");
  send(whole + '\0', "12345678");
  send(std::string(500, 'h'), "12345678");
  expectGoesOn();
}

TEST_F(UcxStrangersTest, SourceOutOfRangeIsDropped) {
  for (const int source : {-1, 2, 1 << 14, -(1 << 15)}) send(header(kExpected, source), "12345678");
  expectGoesOn();
}

TEST_F(UcxStrangersTest, LargeMessagesWithBadHeadersAreDropped) {
  const std::string large(std::size_t{4} << 20, 'l');
  send("short", large);
  send(header(kExpected, 2), large);
  expectGoesOn();
}

TEST_F(UcxStrangersTest, MessageWithoutTheNumberOfTheGroupIsDropped) {
  for (const std::uint32_t number : {0U, kNumber + 1}) send(header(kExpected, 1, kMask, number), "12345678");
  expectGoesOn();
}

TEST_F(UcxStrangersTest, DigestWithoutTheMaskOfTheGroupMatchesNothing) {
  for (const std::uint64_t mask : {std::uint64_t{0}, kMask + 1}) send(header(kExpected, 1, mask), "12345678");
  expectGoesOn();
}

TEST_F(UcxStrangersTest, ForgedMessagesTakeNoMemory) {
  const auto progress = [this] { rank_.progress(completed_); };
  const std::string payload(1000, 'f');
  Tag tag = kExpected;
  const auto send_many = [&](int count) {
    for (int i = 0; i < count; ++i) {
      ++tag.exchange;
      sender_.send(header(tag, 1, 0, 0), payload, progress);
    }
  };
  send_many(100);  // what UCX allocates once
  const std::size_t before = mallinfo2().uordblks;
  send_many(20'000);
  EXPECT_LT(mallinfo2().uordblks, before + 20'000 * payload.size() / 4);
  expectGoesOn();
}

TEST_F(UcxStrangersTest, OtherTagsAreLeftAlone) {
  Tag other = kExpected;
  ++other.digest;
  send(header(other, 1), "12345678");
  send(header(kExpected, 0), "12345678");
  other.exchange = ~std::uint64_t{0};
  send(header(other, 1), std::string(5000, 'x'));
  expectGoesOn();
}

TEST_F(UcxStrangersTest, EndWithMessagesOfStrangersReleasesThem) {
  Tag other = kExpected;
  for (const std::size_t size : {0U, 10U, 1000U, 5000U}) {
    ++other.digest;
    send(header(other, 1), std::string(size, 'x'));
  }
}

}  // namespace
}  // namespace signccl
