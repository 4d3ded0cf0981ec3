#include "exec/scratch.h"

#include <new>

#include "base/error.h"
#include "device/pointer.h"

namespace signccl {
namespace {

constexpr std::align_val_t kAlignment{64};

}  // namespace

Placement placementOf(const void* buffer, std::size_t bytes) {
  switch (describePointer(buffer, bytes).kind) {
    case PointerKind::kPinned:
      return Placement::kPinned;
    case PointerKind::kDevice:
    case PointerKind::kUnmapped:
      return Placement::kDevice;
    case PointerKind::kPageable:
    case PointerKind::kManaged:
    case PointerKind::kUnknown:
      return Placement::kHost;
  }
  return Placement::kHost;
}

Scratch::Scratch(Placement placement) { SIGNCCL_ASSERT(placement == Placement::kHost); }

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
