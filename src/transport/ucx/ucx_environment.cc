#include "transport/ucx/ucx_environment.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace signccl {
namespace {

/// The names of a list such as "tcp,posix,ud:aux", without what is behind their colons.
std::vector<std::string_view> namesIn(std::string_view list) {
  std::vector<std::string_view> names;
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(','));
    names.push_back(item.substr(0, item.find(':')));
    list.remove_prefix(std::min(item.size() + 1, list.size()));
  }
  return names;
}

/// `all_of_them`: names that mean every transport of a kind; `some`: those of one each.
bool tlsLeaves(std::initializer_list<std::string_view> all_of_them, std::initializer_list<std::string_view> some) {
  const char* const tls = std::getenv("UCX_TLS");
  if (tls == nullptr) return true;
  const std::string_view list = tls;
  const bool excludes = list.starts_with('^');
  const std::vector<std::string_view> names = namesIn(excludes ? list.substr(1) : list);
  const auto has_any = [&](std::initializer_list<std::string_view> wanted) {
    return std::ranges::find_first_of(names, wanted) != names.end();
  };
  return excludes ? !has_any(all_of_them) : has_any({"all"}) || has_any(all_of_them) || has_any(some);
}

}  // namespace

bool ucxMayUseSharedMemory() { return tlsLeaves({"sm", "shm", "mm"}, {"posix", "sysv", "xpmem"}); }

bool ucxMayUseTcp() { return tlsLeaves({"tcp"}, {}); }

std::string ucxVariablesOfUser() {
  std::vector<std::string_view> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (std::string_view(*variable).starts_with("UCX_")) variables.emplace_back(*variable);
  }
  if (variables.empty()) return {};
  std::ranges::sort(variables);
  std::string text = " (the environment has ";
  for (const std::string_view variable : variables) {
    if (variable != variables.front()) text += ", ";
    text += variable;
  }
  return text + ")";
}

}  // namespace signccl
