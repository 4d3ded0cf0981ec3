// SPDX-License-Identifier: Apache-2.0
#include "transport/loopback.h"

#include <bit>
#include <cstring>
#include <optional>
#include <string>

#include "base/brief_lock.h"
#include "base/error.h"

namespace signccl {

LoopbackFabric::LoopbackFabric(int nranks) {
  mailboxes_.reserve(static_cast<std::size_t>(nranks));
  for (int rank = 0; rank < nranks; ++rank) mailboxes_.push_back(std::make_unique<Mailbox>());
}

void LoopbackFabric::wake(Rank rank) {
  Mailbox& mailbox = *mailboxes_[static_cast<std::size_t>(rank)];
  const std::lock_guard lock(mailbox.mutex);
  mailbox.woken = true;
  mailbox.changed.notify_one();
}

void LoopbackFabric::deliver(Rank target, const Arrival& arrival) {
  Mailbox& mailbox = *mailboxes_[static_cast<std::size_t>(target)];
  const auto lock = lockSoon(mailbox.mutex);
  mailbox.arrivals.push_back(arrival);
  mailbox.has_news.store(true, std::memory_order_release);
  mailbox.changed.notify_one();
}

void LoopbackFabric::acknowledge(Rank sender, Request* request) {
  Mailbox& mailbox = *mailboxes_[static_cast<std::size_t>(sender)];
  const auto lock = lockSoon(mailbox.mutex);
  mailbox.delivered.push_back(request);
  mailbox.has_news.store(true, std::memory_order_release);
  mailbox.changed.notify_one();
}

LoopbackTransport::LoopbackTransport(std::shared_ptr<LoopbackFabric> fabric, Rank rank)
    : fabric_(std::move(fabric)), rank_(rank) {}

void LoopbackTransport::send(Rank peer, Tag tag, ConstBytes bytes, Request& request) {
  request.peer = peer;
  ++counters_.messages_sent;
  counters_.bytes_sent += bytes.size();
  fabric_->deliver(peer, {rank_, tag, bytes, request.note, &request});
}

void LoopbackTransport::recv(Rank peer, Tag tag, Bytes memory, Landing landing, Request& request) {
  request.peer = peer;
  const Posted posted{memory, landing, &request};
  const std::optional<Arrival> arrival = matcher_.post(peer, tag, posted);
  if (!arrival) return;
  complete(posted, *arrival);
  completed_.push_back(&request);
}

void LoopbackTransport::complete(const Posted& posted, const Arrival& arrival) {
  Request& request = *posted.request;
  if (arrival.bytes.size() != posted.memory.size()) {
    throw Error(signcclInternalError, "rank " + std::to_string(rank_) + " expected " +
                                          std::to_string(posted.memory.size()) + " bytes from rank " +
                                          std::to_string(arrival.source) + " and got " +
                                          std::to_string(arrival.bytes.size()));
  }
  ++counters_.messages_received;
  counters_.bytes_received += arrival.bytes.size();
  request.note = arrival.note;
  if (posted.landing == Landing::kBorrow) {
    request.data = arrival.bytes;
    request.transport.held = std::bit_cast<std::uintptr_t>(arrival.sender);
    return;
  }
  if (!arrival.bytes.empty()) std::memcpy(posted.memory.data(), arrival.bytes.data(), arrival.bytes.size());
  request.data = posted.memory;
  request.transport.held = 0;
  fabric_->acknowledge(arrival.source, arrival.sender);
}

void LoopbackTransport::release(Request& request) {
  if (request.transport.held == 0) return;
  fabric_->acknowledge(request.peer, std::bit_cast<Request*>(static_cast<std::uintptr_t>(request.transport.held)));
  request.transport.held = 0;
}

void LoopbackTransport::progress(std::vector<Request*>& completed) {
  LoopbackFabric::Mailbox& mailbox = *fabric_->mailboxes_[static_cast<std::size_t>(rank_)];
  completed.insert(completed.end(), completed_.begin(), completed_.end());
  completed_.clear();
  if (!mailbox.has_news.load(std::memory_order_acquire)) return;
  {
    const auto lock = lockSoon(mailbox.mutex);
    mailbox.has_news.store(false, std::memory_order_relaxed);
    arrivals_.swap(mailbox.arrivals);
    completed.insert(completed.end(), mailbox.delivered.begin(), mailbox.delivered.end());
    mailbox.delivered.clear();
  }
  for (const Arrival& arrival : arrivals_) {
    if (const std::optional<Posted> posted = matcher_.takePosted(arrival.source, arrival.tag)) {
      complete(*posted, arrival);
      completed.push_back(posted->request);
    } else {
      matcher_.arrive(arrival.source, arrival.tag, Arrival(arrival));
    }
  }
  arrivals_.clear();
}

void LoopbackTransport::wait(std::chrono::microseconds longest) {
  if (!completed_.empty()) return;
  LoopbackFabric::Mailbox& mailbox = *fabric_->mailboxes_[static_cast<std::size_t>(rank_)];
  std::unique_lock lock(mailbox.mutex);
  mailbox.changed.wait_for(lock, longest,
                           [&] { return mailbox.woken || !mailbox.arrivals.empty() || !mailbox.delivered.empty(); });
  mailbox.woken = false;
}

void LoopbackTransport::keepAlive(std::shared_ptr<const void> memory) {
  const std::lock_guard lock(fabric_->kept_mutex_);
  fabric_->kept_.push_back(std::move(memory));
}

}  // namespace signccl
