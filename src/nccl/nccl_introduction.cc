// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_introduction.h"

#include <algorithm>
#include <map>

#include "control/wire.h"
#include "nccl/nccl_library.h"

namespace signccl {
namespace {

/// From this version on several ranks may share a device, if NCCL_MULTI_RANK_GPU_ENABLE says so.
constexpr int kFirstWithSharedDevices = ncclVersionCode(2, 30, 3);

[[noreturn]] void refuse(signcclResult_t code, const std::string& text) {
  throw FailureError({code, text, Failure::Scope::kExchange});
}

void refuseSharedDevice(Rank first, Rank second, const NcclIntroduction& introduction) {
  refuse(signcclInvalidUsage,
         "ranks " + std::to_string(first) + " and " + std::to_string(second) + " are both on device " +
             introduction.device + ", and NCCL " + ncclVersionText(introduction.version) +
             " takes one rank for each device (several from 2.30.3 on, with NCCL_MULTI_RANK_GPU_ENABLE=1): leave "
             "SIGNCCL_TRANSPORT unset, then votes travel through pinned host memory and any number of ranks may share "
             "a device");
}

}  // namespace

std::string encode(const NcclIntroduction& introduction) {
  WireWriter writer;
  writer.number(static_cast<std::uint8_t>(introduction.code)).text(introduction.error);
  writer.number(static_cast<std::uint32_t>(introduction.version)).text(introduction.device);
  writer.number(static_cast<std::uint8_t>(introduction.allows_shared_devices ? 1 : 0));
  writer.raw({introduction.id.internal, sizeof introduction.id.internal});
  return writer.take();
}

NcclIntroduction decodeNcclIntroduction(std::string_view bytes) {
  WireReader reader(bytes);
  NcclIntroduction introduction;
  introduction.code = static_cast<signcclResult_t>(reader.number<std::uint8_t>());
  introduction.error = reader.text();
  introduction.version = static_cast<int>(reader.number<std::uint32_t>());
  introduction.device = reader.text();
  introduction.allows_shared_devices = reader.number<std::uint8_t>() != 0;
  const std::string_view id = reader.raw(sizeof introduction.id.internal);
  std::ranges::copy(id, introduction.id.internal);
  reader.finish();
  return introduction;
}

NcclUniqueId agreedId(const std::vector<NcclIntroduction>& ranks) {
  std::map<std::string, Rank> devices;
  for (Rank rank = 0; rank < static_cast<Rank>(ranks.size()); ++rank) {
    const NcclIntroduction& one = ranks[static_cast<std::size_t>(rank)];
    if (one.code != signcclSuccess) refuse(one.code, rankName(rank) + " cannot use NCCL: " + one.error);
  }
  for (Rank rank = 0; rank < static_cast<Rank>(ranks.size()); ++rank) {
    const NcclIntroduction& one = ranks[static_cast<std::size_t>(rank)];
    if (one.version != ranks.front().version) {
      refuse(signcclInvalidUsage,
             "the version of NCCL is " +
                 onRanks(ncclVersionText(ranks.front().version), 0, ncclVersionText(one.version), rank) +
                 ", expected the same on all ranks");
    }
    const auto [first, is_new] = devices.try_emplace(one.device, rank);
    const bool may_share = one.version >= kFirstWithSharedDevices && one.allows_shared_devices;
    if (!is_new && !may_share) refuseSharedDevice(first->second, rank, one);
  }
  return ranks.front().id;
}

}  // namespace signccl
