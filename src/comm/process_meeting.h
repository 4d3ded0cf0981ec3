// SPDX-License-Identifier: Apache-2.0
// Where the ranks of one process say which exchange they have reached, for ranks that must wait for the others.
#ifndef SIGNCCL_COMM_PROCESS_MEETING_H_
#define SIGNCCL_COMM_PROCESS_MEETING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "control/messages.h"

namespace signccl {

/// Of the ranks of one group that are threads of one process. Any thread.
class ProcessMeeting {
 public:
  explicit ProcessMeeting(std::size_t nranks) : next_(nranks) {}

  /// That of the ranks of this process in the group with this name, which are `nranks`.
  static std::shared_ptr<ProcessMeeting> of(const Secret& group, std::size_t nranks);

  /// The rank at `place` has reached an exchange. The numbers of a rank only grow.
  void arrive(std::size_t place, std::uint64_t exchange) noexcept {
    next_[place].exchange.store(exchange + 1, std::memory_order_release);
  }

  /// True once all ranks have reached an exchange.
  [[nodiscard]] bool haveAllArrived(std::uint64_t exchange) const noexcept;

 private:
  /// On a line of its own, since every exchange of a rank writes it.
  struct alignas(64) Next {
    std::atomic<std::uint64_t> exchange = 0;
  };
  std::vector<Next> next_;  ///< [place] the first exchange that the rank has not come to
};

/// A rank's place at the meeting.
struct MeetingPlace {
  std::shared_ptr<ProcessMeeting> meeting;  ///< null: the rank is alone in its process
  std::size_t place = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_PROCESS_MEETING_H_
