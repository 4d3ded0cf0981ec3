// SPDX-License-Identifier: Apache-2.0
#include "transport/ucx/signal_keeper.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <string_view>

namespace signccl {
namespace {

bool isSame(const struct sigaction& one, const struct sigaction& other) {
  return one.sa_handler == other.sa_handler && one.sa_flags == other.sa_flags;
}

bool isOfUcx(const struct sigaction& action) {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(action.sa_handler), &info) == 0 || info.dli_fname == nullptr) return false;
  const std::string_view path = info.dli_fname;
  return path.substr(path.rfind('/') + 1).starts_with("libucs");
}

}  // namespace

bool SignalKeeper::userWantsUcxHandlers() noexcept {
  constexpr const char* kVariables[] = {"UCX_ERROR_SIGNALS", "UCX_HANDLE_ERRORS", "UCX_DEBUG_SIGNO"};
  return std::ranges::any_of(kVariables, [](const char* name) { return std::getenv(name) != nullptr; });
}

SignalKeeper::SignalKeeper() noexcept {
  for (int signal = 1; signal < kSignals; ++signal) {
    sigaction(signal, nullptr, &before_[static_cast<std::size_t>(signal)]);
  }
}

SignalKeeper::~SignalKeeper() {
  if (userWantsUcxHandlers()) return;
  for (int signal = 1; signal < kSignals; ++signal) {
    const struct sigaction& before = before_[static_cast<std::size_t>(signal)];
    struct sigaction now{};
    if (sigaction(signal, nullptr, &now) != 0 || isSame(now, before) || !isOfUcx(now)) continue;
    sigaction(signal, &before, nullptr);
  }
}

}  // namespace signccl
