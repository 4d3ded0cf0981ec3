// How a UcxTransport sleeps, and what wakes it.
#include <array>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <memory>
#include <poll.h>
#include <span>
#include <unistd.h>
#include <vector>

#include "transport/ucx/ucx_transport.h"

namespace signccl {
namespace {

/// Until one of the events is readable; the last of them is an eventfd, which is read.
void waitForEvents(std::span<pollfd> events, std::chrono::microseconds longest) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(longest);
  const timespec timeout{seconds.count(), std::chrono::nanoseconds(longest - seconds).count()};
  ppoll(events.data(), events.size(), &timeout, nullptr);
  std::uint64_t wakes = 0;
  if ((events.back().revents & POLLIN) != 0) [[maybe_unused]]
    const ssize_t got = read(events.back().fd, &wakes, sizeof wakes);
}

}  // namespace

/// True if the next message makes event_fd_ readable; false if there is something to do already.
bool UcxTransport::arm() { return completed_.empty() && ucp_worker_arm(worker_) == UCS_OK; }

void UcxTransport::wait(std::chrono::microseconds longest) {
  if (!arm()) return;
  std::array<pollfd, 2> events = {{{event_fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}}};
  waitForEvents(events, longest);
}

void UcxTransport::waitForAny(std::span<const std::unique_ptr<UcxTransport>> channels,
                              std::chrono::microseconds longest) {
  thread_local std::vector<pollfd> events;  // keeps its room from call to call
  events.clear();
  for (const auto& channel : channels) {
    if (!channel->arm()) return;
    events.push_back({channel->event_fd_, POLLIN, 0});
  }
  events.push_back({channels.front()->wake_fd_, POLLIN, 0});
  waitForEvents(events, longest);
}

void UcxTransport::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

}  // namespace signccl
