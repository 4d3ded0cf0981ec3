#include "control/shared_settings.h"

namespace signccl {

std::optional<std::string> describeDifference(const SharedSettings& a, Rank rank_a, const SharedSettings& b,
                                              Rank rank_b) {
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (a[i] == b[i]) continue;
    return "the ranks have different settings: " + a[i].first + " is " + a[i].second + " on rank " +
           std::to_string(rank_a) + " and " + b[i].second + " on rank " + std::to_string(rank_b);
  }
  return std::nullopt;
}

}  // namespace signccl
