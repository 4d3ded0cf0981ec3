// SPDX-License-Identifier: Apache-2.0
#include "fake_nccl/reduction.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace fake_nccl {
namespace {

constexpr int kSum = 0;
constexpr int kAvg = 4;
constexpr int kInt8 = 0;
constexpr int kFloat32 = 7;

template <typename Element>
void reduceAs(int op, int nranks, const std::vector<std::byte>& parts, std::span<std::byte> to) {
  const std::size_t count = to.size() / sizeof(Element);
  for (std::size_t i = 0; i < count; ++i) {
    Element sum = 0;
    for (int rank = 0; rank < nranks; ++rank) {
      Element element;
      std::memcpy(&element, &parts[(static_cast<std::size_t>(rank) * count + i) * sizeof(Element)], sizeof(Element));
      sum = static_cast<Element>(sum + element);
    }
    if (op == kAvg) sum = static_cast<Element>(sum / static_cast<Element>(nranks));
    std::memcpy(&to[i * sizeof(Element)], &sum, sizeof(Element));
  }
}

}  // namespace

std::size_t elementBytes(int type) {
  constexpr std::size_t kBytes[] = {1, 1, 4, 4, 8, 8, 2, 4, 8, 2};  // int8, uint8, int32, ... bfloat16
  return kBytes[type];
}

void reduceParts(int type, int op, int nranks, const std::vector<std::byte>& parts, std::span<std::byte> to) {
  const bool is_known = op == kSum || op == kAvg;
  if (is_known && type == kInt8) return reduceAs<std::int8_t>(op, nranks, parts, to);
  if (is_known && type == kFloat32) return reduceAs<float>(op, nranks, parts, to);
  std::ranges::fill(to, std::byte{0});
}

}  // namespace fake_nccl
