// SPDX-License-Identifier: Apache-2.0
#include "exec/scratch.h"

#include <new>

namespace signccl {
namespace {

constexpr std::align_val_t kAlignment{64};

}  // namespace

Scratch::Scratch() = default;

Scratch::~Scratch() = default;

Word* Scratch::reserve(std::size_t nwords) {
  if (nwords <= nwords_) return memory_.get();
  memory_.reset();
  leak_.reset();
  nwords_ = 0;
  std::shared_ptr<Word[]> fresh(static_cast<Word*>(::operator new[](nwords * sizeof(Word), kAlignment)),
                                [](Word* memory) { ::operator delete[](memory, kAlignment); });
  leak_ = std::make_unique<std::shared_ptr<Word[]>>(fresh);
  memory_ = std::move(fresh);
  nwords_ = nwords;
  return memory_.get();
}

void Scratch::leak() noexcept {
  leak_.release();  // NOLINT(bugprone-unused-return-value): peers may still read the memory
  memory_.reset();
  nwords_ = 0;
}

}  // namespace signccl
