// SPDX-License-Identifier: Apache-2.0
// The functions of NCCL that the fake has, under their own names.
#ifndef SIGNCCL_TESTS_FAKE_NCCL_NCCL_API_H_
#define SIGNCCL_TESTS_FAKE_NCCL_NCCL_API_H_

#include "nccl/nccl_functions.h"

extern "C" {
#pragma GCC visibility push(default)
namespace signccl {
// NOLINTNEXTLINE(bugprone-macro-parentheses)
#define SIGNCCL_DECLARE(result, name, parameters) result name parameters;
SIGNCCL_NCCL_FUNCTIONS(SIGNCCL_DECLARE)
#undef SIGNCCL_DECLARE
}  // namespace signccl
#pragma GCC visibility pop
}

#endif  // SIGNCCL_TESTS_FAKE_NCCL_NCCL_API_H_
