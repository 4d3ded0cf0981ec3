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

enum class Placement : std::uint8_t { kOutOfPlace, kInPlace };

class Buffers {
 public:
  explicit Buffers(const BufferSizes& sizes)
      : sizes_(sizes), send_(allocate(sizes.send_bytes)), recv_(allocate(sizes.recv_bytes)) {}

  /// Number of slots of `c`: at least those that the sizes were made for.
  [[nodiscard]] std::size_t slots(const Case& c) const {
    const std::size_t send_slot = sendSlotBytes(c);
    return send_slot == 0 ? 1 : std::min(sizes_.send_bytes / send_slot, sizes_.recv_bytes / recvSlotBytes(c));
  }

  /// Where call number `call` of `c` reads; for in-place calls where it writes as well.
  [[nodiscard]] std::byte* input(const Case& c, Placement placement, std::size_t call) const {
    if (placement == Placement::kInPlace) return output(c, call);
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
