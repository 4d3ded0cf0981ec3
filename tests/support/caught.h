// SPDX-License-Identifier: Apache-2.0
// The error that a call throws, for tests that look at its code and its words.
#ifndef SIGNCCL_TESTS_SUPPORT_CAUGHT_H_
#define SIGNCCL_TESTS_SUPPORT_CAUGHT_H_

#include <ostream>
#include <string>
#include <utility>

#include "base/error.h"

namespace signccl {

/// signcclSuccess and no text if nothing was thrown.
struct Caught {
  signcclResult_t code = signcclSuccess;
  std::string message;

  friend bool operator==(const Caught&, const Caught&) = default;
  friend std::ostream& operator<<(std::ostream& stream, const Caught& caught) {
    return stream << "code " << caught.code << " '" << caught.message << "'";
  }
};

template <typename Body>
Caught caught(Body&& body) {
  try {
    std::forward<Body>(body)();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {};
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SUPPORT_CAUGHT_H_
