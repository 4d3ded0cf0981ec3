// SPDX-License-Identifier: Apache-2.0
// UCX over tcp alone.
#ifndef SIGNCCL_TESTS_TRANSPORT_UCX_TCP_CONTEXT_H_
#define SIGNCCL_TESTS_TRANSPORT_UCX_TCP_CONTEXT_H_

#include <cstdlib>
#include <memory>
#include <string>

#include "transport/ucx/ucx_context.h"

namespace signccl {

/// A new context, not shared with anybody.
inline std::shared_ptr<UcxContext> newTcpContext() {
  const char* const before = std::getenv("UCX_TLS");
  const std::string restored = before == nullptr ? "" : before;
  setenv("UCX_TLS", "tcp,self", 1);
  auto made = std::make_shared<UcxContext>(ucxLibrary(), "");
  unsetenv("UCX_TLS");
  if (before != nullptr) setenv("UCX_TLS", restored.c_str(), 1);
  return made;
}

/// A worker that ends within the same process is no news to shared memory, whose other users are processes; and only a
/// socket can be full.
inline std::shared_ptr<UcxContext> tcpContext() {
  static const std::shared_ptr<UcxContext> context = newTcpContext();
  return context;
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_TRANSPORT_UCX_TCP_CONTEXT_H_
