// SPDX-License-Identifier: Apache-2.0
// The error that ends a group of ranks, and the deadline of a wait.
#ifndef SIGNCCL_BASE_FAILURE_H_
#define SIGNCCL_BASE_FAILURE_H_

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/types.h"

namespace signccl {

using Deadline = std::chrono::steady_clock::time_point;

/// Why ranks cannot go on, in words for people and in numbers for whoever makes a new group of the survivors.
struct Failure {
  /// What is lost.
  enum class Scope : std::uint8_t {
    kExchange,  ///< what the ranks were about to do: all of them are still there
    kGroup,     ///< the group: some ranks are gone, or could not come together
  };

  signcclResult_t code = signcclSuccess;
  std::string message;
  Scope scope = Scope::kGroup;
  /// Ranks that are dead, left, aborted, unreachable or late, ascending.
  // NOLINTNEXTLINE(readability-redundant-member-init): without it GCC warns where Failure{code, message} is made
  std::vector<Rank> gone = {};
};

/// Copies `from`. If memory runs out, the code and the scope are kept, the message is "out of memory", and nobody is
/// named: a failure must be told all the same.
void assignFailure(Failure& to, const Failure& from) noexcept;

/// A failure as an exception, so that the ranks it names are not lost on the way.
class FailureError : public Error {
 public:
  explicit FailureError(Failure failure) : Error(failure.code, failure.message), failure_(std::move(failure)) {}

  [[nodiscard]] const Failure& failure() const noexcept { return failure_; }

 private:
  Failure failure_;
};

/// What an exception that was caught says. Where memory is too short for its text, the text is "out of memory".
Failure failureOf(const std::exception_ptr& exception) noexcept;

/// The failure that `make` gives. Where memory is too short for its text, the text is `otherwise`, of at most 15 bytes.
template <typename Make>
Failure failureOr(signcclResult_t code, const char* otherwise, const Make& make) noexcept {
  try {
    return make();
  } catch (const std::exception&) {
    return {code, otherwise};
  }
}

/// "rank 2"
std::string rankName(Rank rank);

/// What two ranks have where they must have the same: "5 on rank 0 and 6 on rank 2"
std::string onRanks(const std::string& on_a, Rank a, const std::string& on_b, Rank b);

/// "rank 2", "ranks 2 and 3", "ranks 2, 3, 5 and 12 more"; an empty text for no rank.
std::string rankNames(const std::vector<Rank>& ranks);

}  // namespace signccl

#endif  // SIGNCCL_BASE_FAILURE_H_
