// SPDX-License-Identifier: Apache-2.0
// One rank's buffers, cut into slots of the size of the case at hand. Consecutive calls use consecutive slots, as in
// nccl-tests: small sizes are not measured on buffers that never leave the cache, and calls under way never share one.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_BUFFERS_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_BUFFERS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "sign_all_reduce_perf/element_memory.h"
#include "sign_all_reduce_perf/element_types.h"
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
  /// In host memory.
  explicit Buffers(const BufferSizes& sizes)
      : Buffers(sizes, [](std::size_t bytes) { return std::make_unique<HostMemory>(bytes); }) {}

  /// `allocate(bytes)` gives the memory of each of the two buffers.
  template <typename Allocate>
  Buffers(const BufferSizes& sizes, const Allocate& allocate)
      : sizes_(sizes), send_(allocate(sizes.send_bytes)), recv_(allocate(sizes.recv_bytes)) {}

  /// Number of slots of `c`: at least those that the sizes were made for.
  [[nodiscard]] std::size_t slots(const Case& c) const {
    const std::size_t send_slot = sendSlotBytes(c);
    return send_slot == 0 ? 1 : std::min(sizes_.send_bytes / send_slot, sizes_.recv_bytes / recvSlotBytes(c));
  }

  /// `c`, whose input and result have one type, with so many elements that its one slot is the whole of the buffers.
  [[nodiscard]] Case whole(Case c) const {
    c.count = countFor(c.sendtype, std::min(sizes_.send_bytes, sizes_.recv_bytes));
    return c;
  }

  /// The slots of `c`, from the first.
  [[nodiscard]] SlotCycle cycle(const Case& c, InPlace placement) const {
    const bool is_in_place = placement == InPlace::kYes;
    return {{is_in_place ? recv_->address() : send_->address(), recv_->address()},
            is_in_place ? recvSlotBytes(c) : sendSlotBytes(c),
            recvSlotBytes(c),
            slots(c)};
  }

  /// Where the host writes what call number `call` of `c` reads; of in-place calls output() as well.
  [[nodiscard]] std::byte* input(const Case& c, InPlace placement, std::size_t call) const {
    if (placement == InPlace::kYes) return output(c, call);
    return send_->host() + call % slots(c) * sendSlotBytes(c);
  }

  /// Where the host reads what call number `call` of `c` has written.
  [[nodiscard]] std::byte* output(const Case& c, std::size_t call) const {
    return recv_->host() + call % slots(c) * recvSlotBytes(c);
  }

  /// Lets call number `call` of `c` see what the host has written to its input and output.
  void publish(const Case& c, InPlace placement, std::size_t call) const {
    if (placement == InPlace::kNo) send_->publish(call % slots(c) * sendSlotBytes(c), sendSlotBytes(c));
    recv_->publish(call % slots(c) * recvSlotBytes(c), recvSlotBytes(c));
  }

  /// Lets the host see what call number `call` of `c`, which is complete, has written.
  void fetch(const Case& c, std::size_t call) const {
    recv_->fetch(call % slots(c) * recvSlotBytes(c), recvSlotBytes(c));
  }

 private:
  static std::size_t sendSlotBytes(const Case& c) { return slotBytes(c.sendtype, c.count); }
  static std::size_t recvSlotBytes(const Case& c) {
    return std::max(slotBytes(c.sendtype, c.count), slotBytes(c.recvtype, c.count));
  }

  BufferSizes sizes_;
  std::unique_ptr<ElementMemory> send_;
  std::unique_ptr<ElementMemory> recv_;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_BUFFERS_H_
