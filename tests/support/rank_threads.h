// SPDX-License-Identifier: Apache-2.0
// Runs a function as the ranks of a group, each in a thread.
#ifndef SIGNCCL_TESTS_SUPPORT_RANK_THREADS_H_
#define SIGNCCL_TESTS_SUPPORT_RANK_THREADS_H_

#include <exception>
#include <thread>
#include <vector>

#include "base/types.h"

namespace signccl {

/// Calls body(rank) for ranks 0 to nranks - 1, all at the same time, and returns when all have returned. If some threw,
/// rethrows what the first of them did.
template <typename Body>
void runAsRanks(int nranks, const Body& body) {
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(nranks));
  {
    std::vector<std::jthread> threads;
    for (Rank rank = 0; rank < nranks; ++rank) {
      threads.emplace_back([&body, &error = errors[static_cast<std::size_t>(rank)], rank] {
        try {
          body(rank);
        } catch (...) {
          error = std::current_exception();
        }
      });
    }
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SUPPORT_RANK_THREADS_H_
