#include "base/failure.h"

#include <exception>

namespace signccl {

void assignFailure(Failure& to, const Failure& from) noexcept {
  try {
    to = from;
  } catch (const std::exception&) {
    to.code = from.code;
    to.scope = from.scope;
    to.message = "out of memory";  // fits a string that holds no memory of its own
    to.gone.clear();
  }
}

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
