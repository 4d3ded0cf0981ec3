// SPDX-License-Identifier: Apache-2.0
// The floating-point unit as it is when a program starts. Kernels that calculate with floats do it under this mode,
// so that no result depends on what the calling thread has set.
#ifndef SIGNCCL_KERNELS_FLOAT_MODE_H_
#define SIGNCCL_KERNELS_FLOAT_MODE_H_

#include <stdint.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <fenv.h>
#endif

#include "kernels/word_ops.h"

namespace signccl {

/// While it lives: rounds to nearest, keeps denormals, traps nothing. Afterwards the thread's control register is as it
/// was, and so are the flags of exceptions.
///
/// Compilers do not know that arithmetic depends on the register, and may move it over the change. So the object lives
/// in a function that does no arithmetic and calls one that is never inlined and does all of it: a call that writes
/// memory stays between two statements that may do so.
class DefaultFloatMode {
 public:
#if defined(__x86_64__)
  SIGNCCL_WORD_OP DefaultFloatMode() {
    constexpr uint32_t kDefault = 0x1F80;  // every exception masked, nothing else
    asm volatile("stmxcsr %0" : "=m"(saved_) : : "memory");
    asm volatile("ldmxcsr %0" : : "m"(kDefault) : "memory");
  }
  SIGNCCL_WORD_OP ~DefaultFloatMode() { asm volatile("ldmxcsr %0" : : "m"(saved_) : "memory"); }
#elif defined(__aarch64__)
  SIGNCCL_WORD_OP DefaultFloatMode() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_control_) : : "memory");
    asm volatile("mrs %0, fpsr" : "=r"(saved_flags_) : : "memory");
    asm volatile("msr fpcr, xzr" : : : "memory");
  }
  SIGNCCL_WORD_OP ~DefaultFloatMode() {
    asm volatile("msr fpcr, %0" : : "r"(saved_control_) : "memory");
    asm volatile("msr fpsr, %0" : : "r"(saved_flags_) : "memory");
  }
#else
  SIGNCCL_WORD_OP DefaultFloatMode() {
    fegetenv(&saved_);
    fesetenv(FE_DFL_ENV);
  }
  SIGNCCL_WORD_OP ~DefaultFloatMode() { fesetenv(&saved_); }
#endif
  DefaultFloatMode(const DefaultFloatMode&) = delete;
  DefaultFloatMode& operator=(const DefaultFloatMode&) = delete;

 private:
#if defined(__x86_64__)
  uint32_t saved_;
#elif defined(__aarch64__)
  uint64_t saved_control_;
  uint64_t saved_flags_;
#else
  fenv_t saved_;
#endif
};

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_FLOAT_MODE_H_
