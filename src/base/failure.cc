// SPDX-License-Identifier: Apache-2.0
#include "base/failure.h"

#include <new>
#include <system_error>

#include "base/error.h"

namespace signccl {
namespace {

Failure describe(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const FailureError& error) {
    return error.failure();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return {signcclSystemError, "out of memory"};
  } catch (const std::system_error& error) {
    return {signcclSystemError, error.what()};
  } catch (const std::exception& error) {
    return {signcclInternalError, error.what()};
  } catch (...) {
    return {signcclInternalError, "a callback of the program threw something that is no std::exception"};
  }
}

}  // namespace

Failure failureOf(const std::exception_ptr& exception) noexcept {
  try {
    return describe(exception);
  } catch (...) {
    return {signcclSystemError, "out of memory"};  // short enough to need no memory
  }
}

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

std::string rankName(Rank rank) { return "rank " + std::to_string(rank); }

std::string onRanks(const std::string& on_a, Rank a, const std::string& on_b, Rank b) {
  return on_a + " on " + rankName(a) + " and " + on_b + " on " + rankName(b);
}

std::string rankNames(const std::vector<Rank>& ranks) {
  constexpr std::size_t kShown = 8;
  if (ranks.empty()) return {};
  std::string list = ranks.size() == 1 ? "rank " : "ranks ";
  const std::size_t shown = ranks.size() <= kShown + 1 ? ranks.size() : kShown;
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) list += i + 1 == ranks.size() ? " and " : ", ";
    list += std::to_string(ranks[i]);
  }
  if (shown < ranks.size()) list += " and " + std::to_string(ranks.size() - shown) + " more";
  return list;
}

}  // namespace signccl
