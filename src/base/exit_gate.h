// SPDX-License-Identifier: Apache-2.0
// Keeps threads that outlive main() off memory that goes away while the process ends, such as pinned memory of CUDA.
#ifndef SIGNCCL_BASE_EXIT_GATE_H_
#define SIGNCCL_BASE_EXIT_GATE_H_

namespace signccl {

/// Once exit() is called, nobody passes any more: it goes on when all passes have been given back, and threads that
/// want one sleep until the process is gone. Only calls of exit() that come after the first open() count.
class ExitGate {
 public:
  /// From now on exit() closes the gate, before it ends what was loaded before this call. Any thread, again and again.
  static void open();

  /// True once exit() has begun: threads that need a pass do nothing any more. Any thread.
  static bool isClosed();

  /// Held for short, since exit() waits for it; not by a thread that calls exit().
  class Pass {
   public:
    Pass() noexcept;
    ~Pass();
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
  };
};

}  // namespace signccl

#endif  // SIGNCCL_BASE_EXIT_GATE_H_
