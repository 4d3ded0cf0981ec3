// SPDX-License-Identifier: Apache-2.0
// The contract of Transport as tests, run for every transport: see INSTANTIATE_TEST_SUITE_P in the other files.
#ifndef SIGNCCL_TESTS_TRANSPORT_TRANSPORT_CONTRACT_H_
#define SIGNCCL_TESTS_TRANSPORT_TRANSPORT_CONTRACT_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

#include "transport/transport.h"

namespace signccl {

/// A way to connect some ranks.
struct TransportMaker {
  const char* name;
  /// One transport per rank. They are destroyed in any order.
  std::vector<std::unique_ptr<Transport>> (*make)(int nranks);

  friend std::ostream& operator<<(std::ostream& stream, const TransportMaker& maker) { return stream << maker.name; }
};

/// A rank that remembers which of its requests are complete.
class Endpoint {
 public:
  explicit Endpoint(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {}

  /// The requests keep their address as long as the endpoint.
  Request& send(Rank peer, Tag tag, ConstBytes bytes, std::uint32_t note = 0);
  Request& recv(Rank peer, Tag tag, Bytes memory, Landing landing = Landing::kCopy);

  /// One call of progress(). Fails the test if a request is reported twice.
  void progress();

  [[nodiscard]] bool isComplete(const Request& request) const { return completed_.contains(&request); }
  [[nodiscard]] Transport& transport() { return *transport_; }

 private:
  std::unique_ptr<Transport> transport_;
  std::deque<Request> requests_;
  std::unordered_set<const Request*> completed_;
};

inline ConstBytes bytesOf(const std::string& text) { return std::as_bytes(std::span(text)); }

/// Room for a message.
class Room {
 public:
  explicit Room(std::size_t size) : memory_(size, '?') {}
  Bytes bytes() { return std::as_writable_bytes(std::span(memory_)); }
  [[nodiscard]] const std::string& text() const { return memory_; }

 private:
  std::string memory_;
};

class TransportContractTest : public ::testing::TestWithParam<TransportMaker> {
 protected:
  /// Connects ranks, which are then at(0), at(1), ...
  void connect(int nranks);
  Endpoint& at(Rank rank) { return endpoints_[static_cast<std::size_t>(rank)]; }

  /// Progresses all ranks in turn until the requests are complete; fails the test if they never are.
  void finish(std::initializer_list<const Request*> requests);

  /// Progresses all ranks often enough for anything that can happen to have happened.
  void settle();

  [[nodiscard]] bool isComplete(const Request& request) const;

 private:
  std::deque<Endpoint> endpoints_;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_TRANSPORT_TRANSPORT_CONTRACT_H_
