// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/marks.h"

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "nccl/back/failure.h"
#include "signccl/nccl_mark.h"

namespace signccl::nccl_preload {
namespace {

constexpr int kMostEntries = 64;
constexpr std::size_t kMostBytes = 64;  ///< of a word

/// The word's place among the names of an enumeration.
template <typename Enum>
Enum wordOf(const ConfigExt& entry, const char* option) {
  const char* const text = entry.value.s;
  const std::string_view word = text == nullptr ? "" : std::string_view(text, strnlen(text, kMostBytes));
  std::string known;
  const auto names = rules::namesOf(Enum{});
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == word) return static_cast<Enum>(i);
    known += (known.empty() ? "" : ", ") + std::string(names[i]);
  }
  throw Failure(Result::kInvalidArgument, "the mark of a call has the " + std::string(option) + " \"" +
                                              std::string(word) + "\"; expected one of " + known);
}

}  // namespace

Mark readMark(const CollConfig* config) {
  Mark mark;
  if (config == nullptr || config->magic != kMagic) return mark;
  if (config->size < offsetof(CollConfig, ext) + sizeof(void*)) return mark;
  const ConfigExt* entry = config->ext;
  for (int i = 0; i < kMostEntries && entry != nullptr; ++i, entry = entry->next) {
    if (entry->key.vendor != SIGNCCL_NCCL_VENDOR) continue;
    if (entry->key.option == SIGNCCL_NCCL_ACTION) mark.action = wordOf<rules::Action>(*entry, "action");
    if (entry->key.option == SIGNCCL_NCCL_TIE) mark.tie = wordOf<rules::TieRule>(*entry, "tie rule");
  }
  return mark;
}

}  // namespace signccl::nccl_preload
