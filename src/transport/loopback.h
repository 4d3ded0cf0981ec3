// SPDX-License-Identifier: Apache-2.0
// Transport between ranks that are threads of one process. Nothing is copied that can be read in place: a receiver with
// Landing::kBorrow counts votes straight from the sender's memory.
#ifndef SIGNCCL_TRANSPORT_LOOPBACK_H_
#define SIGNCCL_TRANSPORT_LOOPBACK_H_

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "transport/matcher.h"
#include "transport/transport.h"

namespace signccl {

/// The mailboxes of a group of ranks; shared by their transports.
class LoopbackFabric {
 public:
  explicit LoopbackFabric(int nranks);

  [[nodiscard]] int nranks() const { return static_cast<int>(mailboxes_.size()); }

  /// Ends the wait() of a rank's transport, under way or next. Any thread.
  void wake(Rank rank);

 private:
  friend class LoopbackTransport;

  struct Arrival {
    Rank source;
    Tag tag;
    ConstBytes bytes;
    std::uint32_t note;
    Request* sender;  ///< only handed back to its owner, never looked into
  };

  struct Mailbox {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Arrival> arrivals;    ///< messages to this rank that it has not looked at
    std::vector<Request*> delivered;  ///< sends of this rank that their receivers are done with
    bool woken = false;
    /// There are arrivals or delivered sends. A rank that looks for them all the time reads this before it takes the
    /// mutex, which its peers need to deliver.
    std::atomic<bool> has_news = false;
  };

  void deliver(Rank target, const Arrival& arrival);
  void acknowledge(Rank sender, Request* request);

  std::vector<std::unique_ptr<Mailbox>> mailboxes_;
  std::mutex kept_mutex_;
  std::vector<std::shared_ptr<const void>> kept_;
};

class LoopbackTransport final : public Transport {
 public:
  LoopbackTransport(std::shared_ptr<LoopbackFabric> fabric, Rank rank);

  void send(Rank peer, Tag tag, ConstBytes bytes, Request& request) override;
  void recv(Rank peer, Tag tag, Bytes memory, Landing landing, Request& request) override;
  void release(Request& request) override;
  void progress(std::vector<Request*>& completed) override;
  bool flush() override { return true; }
  void wait(std::chrono::microseconds longest) override;
  void wake() override { fabric_->wake(rank_); }
  void keepAlive(std::shared_ptr<const void> memory) override;
  [[nodiscard]] TransportCounters counters() const override { return counters_; }

 private:
  using Arrival = LoopbackFabric::Arrival;

  struct Posted {
    Bytes memory;
    Landing landing;
    Request* request;
  };

  void complete(const Posted& posted, const Arrival& arrival);

  std::shared_ptr<LoopbackFabric> fabric_;
  Rank rank_;
  Matcher<Arrival, Posted> matcher_;
  std::vector<Request*> completed_;  ///< found complete outside progress()
  std::vector<Arrival> arrivals_;    ///< scratch of progress()
  TransportCounters counters_;
};

}  // namespace signccl

#endif  // SIGNCCL_TRANSPORT_LOOPBACK_H_
