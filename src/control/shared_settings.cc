// SPDX-License-Identifier: Apache-2.0
#include "control/shared_settings.h"

#include <algorithm>
#include <utility>

#include "base/failure.h"

namespace signccl {
namespace {

std::string valueOf(const SharedSettings& settings, const std::string& name) {
  const auto found = std::ranges::find(settings, name, [](const auto& one) { return one.first; });
  return found == settings.end() ? "unknown" : found->second;
}

}  // namespace

std::optional<std::string> describeDifference(const SharedSettings& a, Rank rank_a, const SharedSettings& b,
                                              Rank rank_b) {
  if (a == b) return std::nullopt;
  for (const SharedSettings* const some : {&a, &b}) {
    for (const auto& [name, value] : *some) {
      const std::string on_a = valueOf(a, name);
      const std::string on_b = valueOf(b, name);
      if (on_a == on_b) continue;
      return "the ranks have different settings: " + name + " is " + onRanks(on_a, rank_a, on_b, rank_b);
    }
  }
  return std::nullopt;
}

void write(WireWriter& writer, const SharedSettings& settings) {
  writer.number(static_cast<std::uint32_t>(settings.size()));
  for (const auto& [name, value] : settings) writer.text(name).text(value);
}

SharedSettings readSharedSettings(WireReader& reader) {
  const std::uint32_t nsettings = reader.count(2 * sizeof(std::uint32_t));
  SharedSettings settings;
  for (std::uint32_t i = 0; i < nsettings; ++i) {
    std::string name = reader.text();
    std::string value = reader.text();
    settings.emplace_back(std::move(name), std::move(value));
  }
  return settings;
}

}  // namespace signccl
