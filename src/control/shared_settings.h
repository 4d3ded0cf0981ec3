// SPDX-License-Identifier: Apache-2.0
// Settings that ranks must have alike.
#ifndef SIGNCCL_CONTROL_SHARED_SETTINGS_H_
#define SIGNCCL_CONTROL_SHARED_SETTINGS_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/types.h"
#include "control/wire.h"

namespace signccl {

/// Settings that decide who sends what to whom: name and value.
using SharedSettings = std::vector<std::pair<std::string, std::string>>;

/// Says which setting differs, if one does.
std::optional<std::string> describeDifference(const SharedSettings& a, Rank rank_a, const SharedSettings& b,
                                              Rank rank_b);

/// As part of a message; docs/wire_format.md.
void write(WireWriter& writer, const SharedSettings& settings);
/// Throws Error with signcclRemoteError for bytes that write() does not make.
SharedSettings readSharedSettings(WireReader& reader);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_SHARED_SETTINGS_H_
