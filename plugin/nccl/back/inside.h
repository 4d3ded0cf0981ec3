// SPDX-License-Identifier: Apache-2.0
// Which calls of NCCL come from NCCL itself, or from SignCCL: those are forwarded as they are.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_INSIDE_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_INSIDE_H_

namespace signccl::nccl_preload {

/// While an object lives, calls of this thread come from within.
class InsideNccl {
 public:
  InsideNccl() noexcept { ++depth; }
  ~InsideNccl() { --depth; }
  InsideNccl(const InsideNccl&) = delete;
  InsideNccl& operator=(const InsideNccl&) = delete;

  [[nodiscard]] static bool is() noexcept { return depth > 0; }

 private:
  static inline thread_local int depth = 0;
};

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_INSIDE_H_
