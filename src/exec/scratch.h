// SPDX-License-Identifier: Apache-2.0
// Host memory that exchanges work in.
#ifndef SIGNCCL_EXEC_SCRATCH_H_
#define SIGNCCL_EXEC_SCRATCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/kernels.h"

namespace signccl {

/// A block of words, aligned to 64 bytes, that grows. Not thread-safe.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// Room for at least `nwords` words. What was in it is lost if it grows. Throws std::bad_alloc; the scratch is then
  /// empty.
  Word* reserve(std::size_t nwords);

  /// What keeps the memory alive beside the scratch; null while it is empty.
  [[nodiscard]] std::shared_ptr<const void> share() const noexcept { return memory_; }

  /// Gives the memory up without freeing it, for memory that peers may read when there is no room to note who keeps it.
  void leak() noexcept;

  [[nodiscard]] std::size_t bytes() const { return nwords_ * sizeof(Word); }

 private:
  std::shared_ptr<Word[]> memory_;                 ///< shared with the transport after a failure
  std::unique_ptr<std::shared_ptr<Word[]>> leak_;  ///< a second owner, made in advance, so that leak() needs no memory
  std::size_t nwords_ = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_SCRATCH_H_
