// SPDX-License-Identifier: Apache-2.0
// A transport that behaves as badly as its contract allows, and worse if asked: it delays, reorders, copies where it
// could lend, keeps messages in buffers, and loses them.
#ifndef SIGNCCL_TESTS_SUPPORT_FAULTY_TRANSPORT_H_
#define SIGNCCL_TESTS_SUPPORT_FAULTY_TRANSPORT_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <unordered_set>
#include <vector>

#include "transport/transport.h"

namespace signccl {

struct Faults {
  std::uint64_t seed = 1;
  /// Chance that a send or a completion is put off at a call of progress(), 0 to 1. Those that are not put off go on in
  /// random order.
  double delay = 0;
  bool refuses_to_lend = false;  ///< Landing::kBorrow is treated as kCopy
  /// A send is complete at once, and its message leaves at a later call of progress().
  bool buffers = false;
  /// Messages to send that are lost: neither delivered nor completed.
  std::function<bool(Rank peer, Tag tag)> drops = nullptr;
};

/// Decorates the transport of one rank. Like any transport, used by one thread at a time.
class FaultyTransport final : public Transport {
 public:
  FaultyTransport(std::unique_ptr<Transport> inner, Faults faults);

  void send(Rank peer, Tag tag, ConstBytes bytes, Request& request) override;
  void recv(Rank peer, Tag tag, Bytes memory, Landing landing, Request& request) override;
  void release(Request& request) override { inner_->release(request); }
  void progress(std::vector<Request*>& completed) override;
  bool flush() override { return inner_->flush() && unsent_.empty(); }
  void wait(std::chrono::microseconds longest) override;
  void wake() override { inner_->wake(); }
  void keepAlive(std::shared_ptr<const void> memory) override { inner_->keepAlive(std::move(memory)); }
  [[nodiscard]] TransportCounters counters() const override { return inner_->counters(); }

 private:
  struct Message {
    Rank peer;
    Tag tag;
    ConstBytes bytes;
    Request* request;
  };

  /// What a completed send left behind.
  struct Buffered {
    std::vector<std::byte> bytes;
    Request request;
  };

  /// Takes the items whose time has come out of `items`, in random order.
  template <typename Item>
  std::vector<Item> draw(std::vector<Item>& items);

  std::unique_ptr<Transport> inner_;
  Faults faults_;
  std::mt19937_64 random_;
  std::vector<Message> unsent_;
  std::vector<Request*> untold_;  ///< complete, and not yet said so
  std::deque<Buffered> buffered_;
  std::unordered_set<const Request*> of_buffered_;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SUPPORT_FAULTY_TRANSPORT_H_
