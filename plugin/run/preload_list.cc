// SPDX-License-Identifier: Apache-2.0
#include "run/preload_list.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

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
  std::vector<std::string> in_front;
  std::vector<std::string> behind;
  for (const std::string& entry : entriesOf(present)) {
    const auto is_ours = [&](const std::string& library) { return isSameFile(entry, library); };
    if (std::ranges::any_of(libraries, is_ours)) continue;
    (isSanitizerRuntime(entry) ? in_front : behind).push_back(entry);
  }
  std::vector<std::string> all = std::move(in_front);
  all.insert(all.end(), libraries.begin(), libraries.end());
  all.insert(all.end(), behind.begin(), behind.end());
  std::string list;
  for (const std::string& entry : all) list += (list.empty() ? "" : ":") + entry;
  return list;
}

}  // namespace signccl::run
