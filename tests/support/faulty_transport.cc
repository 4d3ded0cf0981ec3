// SPDX-License-Identifier: Apache-2.0
#include "support/faulty_transport.h"

#include <algorithm>
#include <utility>

namespace signccl {

FaultyTransport::FaultyTransport(std::unique_ptr<Transport> inner, Faults faults)
    : inner_(std::move(inner)), faults_(std::move(faults)), random_(faults_.seed) {}

void FaultyTransport::send(Rank peer, Tag tag, ConstBytes bytes, Request& request) {
  request.peer = peer;
  if (faults_.drops && faults_.drops(peer, tag)) return;
  if (!faults_.buffers) {
    unsent_.push_back({peer, tag, bytes, &request});
    return;
  }
  request.transport.held = 0;
  untold_.push_back(&request);
  Buffered& buffered = buffered_.emplace_back(Buffered{{bytes.begin(), bytes.end()}, {}});
  buffered.request.note = request.note;
  of_buffered_.insert(&buffered.request);
  unsent_.push_back({peer, tag, buffered.bytes, &buffered.request});
}

void FaultyTransport::recv(Rank peer, Tag tag, Bytes memory, Landing landing, Request& request) {
  inner_->recv(peer, tag, memory, faults_.refuses_to_lend ? Landing::kCopy : landing, request);
}

template <typename Item>
std::vector<Item> FaultyTransport::draw(std::vector<Item>& items) {
  std::shuffle(items.begin(), items.end(), random_);
  std::bernoulli_distribution is_late(faults_.delay);
  const auto late = std::partition(items.begin(), items.end(), [&](const Item&) { return !is_late(random_); });
  std::vector<Item> due(items.begin(), late);
  items.erase(items.begin(), late);
  return due;
}

void FaultyTransport::progress(std::vector<Request*>& completed) {
  for (const Message& message : draw(unsent_)) inner_->send(message.peer, message.tag, message.bytes, *message.request);
  inner_->progress(untold_);
  std::erase_if(untold_, [&](const Request* request) { return of_buffered_.contains(request); });
  const std::vector<Request*> due = draw(untold_);
  completed.insert(completed.end(), due.begin(), due.end());
}

void FaultyTransport::wait(std::chrono::microseconds longest) {
  if (unsent_.empty() && untold_.empty()) inner_->wait(longest);
}

}  // namespace signccl
