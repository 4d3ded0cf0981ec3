// Settings that ranks must have alike.
#ifndef SIGNCCL_CONTROL_SHARED_SETTINGS_H_
#define SIGNCCL_CONTROL_SHARED_SETTINGS_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/types.h"

namespace signccl {

/// Settings that decide who sends what to whom: name and value.
using SharedSettings = std::vector<std::pair<std::string, std::string>>;

/// Says which setting differs, if one does.
std::optional<std::string> describeDifference(const SharedSettings& a, Rank rank_a, const SharedSettings& b,
                                              Rank rank_b);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_SHARED_SETTINGS_H_
