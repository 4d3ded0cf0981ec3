// One rank's buffers, cut into slots of the size of the case at hand. Consecutive calls use consecutive slots, as in
// nccl-tests: small sizes are not measured on buffers that never leave the cache, and calls under way never share one.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_BUFFERS_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_BUFFERS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

#include "sign_all_reduce_perf/plan.h"

namespace signccl::perf {

enum class InPlace : std::uint8_t { kNo, kYes };

/// The buffers of one call.
struct CallBuffers {
  const std::byte* send;
  std::byte* recv;
};

/// The slots of a case, one after the other and over again.
class SlotCycle {
 public:
  SlotCycle(const CallBuffers& first, std::size_t send_stride, std::size_t recv_stride, std::size_t nslots)
      : first_(first), send_stride_(send_stride), recv_stride_(recv_stride), nslots_(nslots) {}

  CallBuffers next() {
    const std::size_t slot = slot_;
    if (++slot_ == nslots_) slot_ = 0;
    return {first_.send + slot * send_stride_, first_.recv + slot * recv_stride_};
  }
  [[nodiscard]] std::size_t nslots() const { return nslots_; }

 private:
  CallBuffers first_;
  std::size_t send_stride_;
  std::size_t recv_stride_;
  std::size_t nslots_;
  std::size_t slot_ = 0;
};

class Buffers {
 public:
  explicit Buffers(const BufferSizes& sizes)
      : sizes_(sizes), send_(allocate(sizes.send_bytes)), recv_(allocate(sizes.recv_bytes)) {}

  /// Number of slots of `c`: at least those that the sizes were made for.
  [[nodiscard]] std::size_t slots(const Case& c) const {
    const std::size_t send_slot = sendSlotBytes(c);
    return send_slot == 0 ? 1 : std::min(sizes_.send_bytes / send_slot, sizes_.recv_bytes / recvSlotBytes(c));
  }

  /// The slots of `c`, from the first.
  [[nodiscard]] SlotCycle cycle(const Case& c, InPlace placement) const {
    const bool is_in_place = placement == InPlace::kYes;
    return {{input(c, placement, 0), output(c, 0)},
            is_in_place ? recvSlotBytes(c) : sendSlotBytes(c),
            recvSlotBytes(c),
            slots(c)};
  }

  /// Where call number `call` of `c` reads; for in-place calls where it writes as well.
  [[nodiscard]] std::byte* input(const Case& c, InPlace placement, std::size_t call) const {
    if (placement == InPlace::kYes) return output(c, call);
    return send_.get() + call % slots(c) * sendSlotBytes(c);
  }

  /// Where call number `call` of `c` writes.
  [[nodiscard]] std::byte* output(const Case& c, std::size_t call) const {
    return recv_.get() + call % slots(c) * recvSlotBytes(c);
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, kAlignment); }
  };
  using Memory = std::unique_ptr<std::byte[], Free>;

  static Memory allocate(std::size_t bytes) {
    Memory memory(static_cast<std::byte*>(::operator new(bytes, kAlignment)));
    std::memset(memory.get(), 0, bytes);  // the rank that uses the memory touches it first
    return memory;
  }
  static std::size_t sendSlotBytes(const Case& c) { return slotBytes(c.sendtype, c.count); }
  static std::size_t recvSlotBytes(const Case& c) {
    return std::max(slotBytes(c.sendtype, c.count), slotBytes(c.recvtype, c.count));
  }

  BufferSizes sizes_;
  Memory send_;
  Memory recv_;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_BUFFERS_H_
