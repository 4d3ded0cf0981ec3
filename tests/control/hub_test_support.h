// SPDX-License-Identifier: Apache-2.0
// A hub of a test, and its log.
#ifndef SIGNCCL_TESTS_CONTROL_HUB_TEST_SUPPORT_H_
#define SIGNCCL_TESTS_CONTROL_HUB_TEST_SUPPORT_H_

#include <memory>
#include <string>

#include "base/environment.h"
#include "base/log.h"
#include "control/eventually.h"
#include "control/example_messages.h"
#include "control/hub.h"
#include "control/raw_peer.h"

namespace signccl {

/// The secret of the hub is that of the example messages. The log goes to a file.
class HubTest : public EnvironmentTest {
 protected:
  HubTest() {
    set("SIGNCCL_DEBUG", "TRACE");
    set("SIGNCCL_DEBUG_SUBSYS", "BOOTSTRAP");
    set("SIGNCCL_DEBUG_FILE", path("log"));
    configureLogging(load());
  }
  ~HubTest() override {
    unset("SIGNCCL_DEBUG");
    unset("SIGNCCL_DEBUG_SUBSYS");
    unset("SIGNCCL_DEBUG_FILE");
    configureLogging(load());
  }
  HubTest(const HubTest&) = delete;
  HubTest& operator=(const HubTest&) = delete;

  MeetingPoint openHub(HubOptions options = {}) {
    return Hub::open({asio::ip::address_v4::loopback(), 0}, kExampleSecret, std::move(options))->meetingPoint();
  }
  MeetingPoint openHub(const StrangerLimits& limits) { return openHub(HubOptions{.strangers = limits}); }

  [[nodiscard]] bool isLogged(const std::string& text) const {
    return eventually([&] { return read("log").find(text) != std::string::npos; });
  }
};

/// A rank of which the test sends each message itself.
inline RawPeer greet(const MeetingPoint& point, const HelloMessage& hello) {
  RawPeer rank(point.address);
  rank.send(MessageType::kHello, encode(hello));
  return rank;
}

/// The failure that comes next; without text if something else comes.
inline Failure nextFailure(const RawPeer& rank) {
  const auto message = rank.receiveMessage();
  return message && message->type == MessageType::kFailure ? decodeFailure(message->payload) : Failure{};
}

inline std::string failureTo(const RawPeer& rank) { return nextFailure(rank).message; }

}  // namespace signccl

#endif  // SIGNCCL_TESTS_CONTROL_HUB_TEST_SUPPORT_H_
