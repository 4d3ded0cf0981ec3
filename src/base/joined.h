// SPDX-License-Identifier: Apache-2.0
// Lists of names for messages.
#ifndef SIGNCCL_BASE_JOINED_H_
#define SIGNCCL_BASE_JOINED_H_

#include <functional>
#include <string>
#include <string_view>

namespace signccl {

/// The texts of items, with `separator` between them. `text` makes a string or a view of it from an item.
template <typename Items, typename Text = std::identity>
std::string joined(const Items& items, std::string_view separator, Text text = {}) {
  std::string all;
  bool is_first = true;
  for (const auto& item : items) {
    if (!is_first) all += separator;
    is_first = false;
    all += std::invoke(text, item);
  }
  return all;
}

}  // namespace signccl

#endif  // SIGNCCL_BASE_JOINED_H_
