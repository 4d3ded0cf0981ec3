// SPDX-License-Identifier: Apache-2.0
// Keeps UCX from taking signals away from the program.
#ifndef SIGNCCL_TRANSPORT_UCX_SIGNAL_KEEPER_H_
#define SIGNCCL_TRANSPORT_UCX_SIGNAL_KEEPER_H_

#include <array>
#include <csignal>

namespace signccl {

/// UCX installs handlers for SIGHUP, SIGSEGV, SIGBUS, SIGFPE and SIGILL when it is loaded: a closed terminal then no
/// longer ends a job, and the program's own handlers, such as those of Python's faulthandler, are lost. From its
/// construction to its end, handlers of UCX that were installed meanwhile are noticed; the end puts back what was there
/// before. Handlers of others stay, and so do those of UCX if the user asked for them.
class SignalKeeper {
 public:
  SignalKeeper() noexcept;
  ~SignalKeeper();
  SignalKeeper(const SignalKeeper&) = delete;
  SignalKeeper& operator=(const SignalKeeper&) = delete;

  /// Whether one of the variables is set by which UCX is told its signals.
  static bool userWantsUcxHandlers() noexcept;

 private:
  static constexpr int kSignals = 32;  ///< 1 to 31, without those for real time

  std::array<struct sigaction, kSignals> before_{};
};

}  // namespace signccl

#endif  // SIGNCCL_TRANSPORT_UCX_SIGNAL_KEEPER_H_
