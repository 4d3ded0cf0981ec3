// SPDX-License-Identifier: Apache-2.0
#include "run/preload_list.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace signccl::run {
namespace {

std::vector<std::string> entriesOf(const std::string& list) {
  constexpr const char* kSeparators = ": \t\n";
  std::vector<std::string> entries;
  for (std::size_t begin = 0; (begin = list.find_first_not_of(kSeparators, begin)) != std::string::npos;) {
    const std::size_t end = std::min(list.find_first_of(kSeparators, begin), list.size());
    entries.push_back(list.substr(begin, end - begin));
    begin = end;
  }
  return entries;
}

bool isSanitizerRuntime(const std::string& entry) {
  constexpr std::array<std::string_view, 6> kNames{"libasan", "libhwasan", "liblsan",
                                                   "libtsan", "libubsan",  "libclang_rt."};
  const std::string name = std::filesystem::path(entry).filename().string();
  return std::ranges::any_of(kNames, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool isSameFile(const std::string& a, const std::string& b) {
  std::error_code error;
  return a == b || std::filesystem::equivalent(a, b, error);
}

}  // namespace

std::string preloadList(const std::vector<std::string>& libraries, const std::string& present) {
  std::vector<std::string> others = entriesOf(present);
  std::erase_if(others, [&](const std::string& entry) {
    return std::ranges::any_of(libraries, [&](const std::string& ours) { return isSameFile(entry, ours); });
  });
  const auto behind = std::stable_partition(others.begin(), others.end(), isSanitizerRuntime);
  std::vector<std::string> all(others.begin(), behind);
  all.insert(all.end(), libraries.begin(), libraries.end());
  all.insert(all.end(), behind, others.end());
  std::string list;
  for (const std::string& entry : all) list += (list.empty() ? "" : ":") + entry;
  return list;
}

}  // namespace signccl::run
