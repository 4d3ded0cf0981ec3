#include "base/failure.h"

namespace signccl {

std::string rankList(const std::vector<Rank>& ranks) {
  constexpr std::size_t kShown = 8;
  std::string list;
  const std::size_t shown = ranks.size() <= kShown + 1 ? ranks.size() : kShown;
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) list += i + 1 == ranks.size() ? " and " : ", ";
    list += std::to_string(ranks[i]);
  }
  if (shown < ranks.size()) list += " and " + std::to_string(ranks.size() - shown) + " more";
  return list;
}

}  // namespace signccl
