// SPDX-License-Identifier: Apache-2.0
#include "comm/all_gather.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "control/failures.h"

namespace signccl {

std::vector<std::string> allGather(Group& group, std::string part, Deadline deadline) {
  std::vector<std::string> parts = group.allGather(std::move(part), deadline);
  const std::size_t bytes = parts.front().size();
  const auto other = std::ranges::find_if(parts, [&](const std::string& one) { return one.size() != bytes; });
  if (other == parts.end()) return parts;
  // Every rank has the same parts, so each finds the same two ranks.
  const Failure failure = otherGatherSize(0, bytes, static_cast<Rank>(other - parts.begin()), other->size());
  group.fail(failure);
  throw Error(failure.code, failure.message);
}

}  // namespace signccl
