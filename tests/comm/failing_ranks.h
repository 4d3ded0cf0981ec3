// SPDX-License-Identifier: Apache-2.0
// Ranks whose transports fail, and the errors that all ranks get.
#ifndef SIGNCCL_TESTS_COMM_FAILING_RANKS_H_
#define SIGNCCL_TESTS_COMM_FAILING_RANKS_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "comm_ranks.h"
#include "support/caught.h"
#include "support/rank_threads.h"

namespace signccl {

inline CommOptions optionsWith(Algorithm algorithm, std::chrono::milliseconds timeout = std::chrono::minutes(2)) {
  CommOptions options = testOptions();
  options.algorithm = algorithm;
  options.timeout = timeout;
  return options;
}

/// Errors of all ranks, each of which calls body(rank) in a thread. A rank that calls only after the failure is told
/// that the communicator has failed already; this is left out.
template <typename Body>
std::vector<Caught> errorsOf(int nranks, const Body& body) {
  const std::string already = "the communicator has failed: ";
  std::vector<Caught> errors(static_cast<std::size_t>(nranks));
  runAsRanks(nranks, [&](Rank rank) {
    Caught error = caught([&] { body(rank); });
    if (error.message.starts_with(already)) error.message.erase(0, already.size());
    errors[static_cast<std::size_t>(rank)] = error;
  });
  return errors;
}

/// A loopback group whose transports are put into others.
class RewiredGroup final : public Group {
 public:
  using Rewire = std::function<std::unique_ptr<Transport>(std::unique_ptr<Transport>, Rank)>;

  RewiredGroup(std::unique_ptr<Group> inner, Rewire rewire) : inner_(std::move(inner)), rewire_(std::move(rewire)) {}

  [[nodiscard]] Rank rank() const override { return inner_->rank(); }
  [[nodiscard]] const Topology& topology() const override { return inner_->topology(); }
  [[nodiscard]] bool isOfOneProcess() const override { return inner_->isOfOneProcess(); }
  [[nodiscard]] CoreShare coreShare() const override { return inner_->coreShare(); }
  [[nodiscard]] CostModel costModel() const override { return inner_->costModel(); }
  [[nodiscard]] MeetingPlace meetingPlace() const override { return inner_->meetingPlace(); }
  std::unique_ptr<Transport> makeTransport() override { return rewire_(inner_->makeTransport(), rank()); }
  void end(std::uint64_t exchange) noexcept override { inner_->end(exchange); }
  bool allLeft() override { return inner_->allLeft(); }
  void awaitTold() noexcept override { inner_->awaitTold(); }
  void announce(std::uint64_t exchange, const ExchangeSignature& signature) override {
    inner_->announce(exchange, signature);
  }
  void begin(std::uint64_t exchange, const ExchangeSignature& signature, bool is_empty) override {
    inner_->begin(exchange, signature, is_empty);
  }
  bool allAnnounced(std::uint64_t exchange) override { return inner_->allAnnounced(exchange); }
  std::vector<Rank> notAnnounced(std::uint64_t exchange) override { return inner_->notAnnounced(exchange); }
  [[nodiscard]] bool failed() const noexcept override { return inner_->failed(); }
  [[nodiscard]] Failure failure() const override { return inner_->failure(); }
  void fail(const Failure& failure) noexcept override { inner_->fail(failure); }
  void leave() noexcept override { inner_->leave(); }
  void postAllGather(std::string part) override { inner_->postAllGather(std::move(part)); }
  std::vector<std::string> awaitAllGather(Deadline deadline) override { return inner_->awaitAllGather(deadline); }
  void postSplit(int color, int key, const SharedSettings& settings) override {
    inner_->postSplit(color, key, settings);
  }
  void joinSplit(Deadline deadline) override { inner_->joinSplit(deadline); }
  std::unique_ptr<Group> awaitSplit(Deadline deadline) override { return inner_->awaitSplit(deadline); }

 private:
  std::unique_ptr<Group> inner_;
  Rewire rewire_;
};

inline WrapGroup rewired(const RewiredGroup::Rewire& rewire) {
  return [rewire](std::unique_ptr<Group> inner) { return std::make_unique<RewiredGroup>(std::move(inner), rewire); };
}

/// Calls `fault`, which throws, at the third progress().
class BrokenTransport final : public Transport {
 public:
  BrokenTransport(std::unique_ptr<Transport> inner, std::function<void()> fault)
      : inner_(std::move(inner)), fault_(std::move(fault)) {}

  void send(Rank peer, Tag tag, ConstBytes bytes, Request& request) override {
    inner_->send(peer, tag, bytes, request);
  }
  void recv(Rank peer, Tag tag, Bytes memory, Landing landing, Request& request) override {
    inner_->recv(peer, tag, memory, landing, request);
  }
  void release(Request& request) override { inner_->release(request); }
  void progress(std::vector<Request*>& completed) override {
    if (++turns_ == 3) fault_();
    inner_->progress(completed);
  }
  bool flush() override { return inner_->flush(); }
  void wait(std::chrono::microseconds longest) override { inner_->wait(longest); }
  void wake() override { inner_->wake(); }
  void keepAlive(std::shared_ptr<const void> memory) override { inner_->keepAlive(std::move(memory)); }
  [[nodiscard]] TransportCounters counters() const override { return inner_->counters(); }

 private:
  std::unique_ptr<Transport> inner_;
  std::function<void()> fault_;
  int turns_ = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_COMM_FAILING_RANKS_H_
