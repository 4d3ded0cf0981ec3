#include "control/shared_settings.h"

#include <algorithm>

namespace signccl {
namespace {

std::string valueOf(const SharedSettings& settings, const std::string& name) {
  const auto found = std::ranges::find(settings, name, [](const auto& one) { return one.first; });
  return found == settings.end() ? "unknown" : found->second;
}

std::string difference(const std::string& name, const std::string& on_a, Rank a, const std::string& on_b, Rank b) {
  return "the ranks have different settings: " + name + " is " + on_a + " on rank " + std::to_string(a) + " and " +
         on_b + " on rank " + std::to_string(b);
}

}  // namespace

std::optional<std::string> describeDifference(const SharedSettings& a, Rank rank_a, const SharedSettings& b,
                                              Rank rank_b) {
  if (a == b) return std::nullopt;
  for (const SharedSettings* const some : {&a, &b}) {
    for (const auto& [name, value] : *some) {
      const std::string on_a = valueOf(a, name);
      const std::string on_b = valueOf(b, name);
      if (on_a != on_b) return difference(name, on_a, rank_a, on_b, rank_b);
    }
  }
  return std::nullopt;
}

}  // namespace signccl
