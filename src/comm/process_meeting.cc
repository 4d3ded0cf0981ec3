// SPDX-License-Identifier: Apache-2.0
#include "comm/process_meeting.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "base/fork.h"

namespace signccl {
namespace {

struct Meetings {
  std::mutex mutex;
  std::map<Secret, std::weak_ptr<ProcessMeeting>> by_group;
};

}  // namespace

std::shared_ptr<ProcessMeeting> ProcessMeeting::of(const Secret& group, std::size_t nranks) {
  static PerProcess<Meetings> all;
  Meetings& meetings = all.get();
  const std::lock_guard lock(meetings.mutex);
  std::erase_if(meetings.by_group, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<ProcessMeeting>& known = meetings.by_group[group];
  std::shared_ptr<ProcessMeeting> meeting = known.lock();
  if (!meeting) known = meeting = std::make_shared<ProcessMeeting>(nranks);
  return meeting;
}

bool ProcessMeeting::haveAllArrived(std::uint64_t exchange) const noexcept {
  return std::ranges::all_of(
      next_, [&](const Next& next) { return next.exchange.load(std::memory_order_acquire) > exchange; });
}

}  // namespace signccl
