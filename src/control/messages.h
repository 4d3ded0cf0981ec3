// SPDX-License-Identifier: Apache-2.0
// The messages of the control plane. docs/wire_format.md has their bytes.
#ifndef SIGNCCL_CONTROL_MESSAGES_H_
#define SIGNCCL_CONTROL_MESSAGES_H_

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.h"
#include "base/types.h"
#include "control/shared_settings.h"
#include "host/cpu_quota.h"

namespace signccl {

/// A change of any message needs a new number.
inline constexpr std::uint16_t kWireVersion = 4;

/// What proves that a process belongs to the job.
using Secret = std::array<std::uint8_t, 16>;

enum class MessageType : std::uint8_t {
  kHello = 1,     ///< rank: who I am
  kRoster,        ///< hub: all ranks have joined, this is who they are
  kFailure,       ///< either way: the group cannot go on
  kHeartbeat,     ///< either way: I am there; from a rank with the number of exchanges it has begun
  kAnnounce,      ///< rank: what I have called as an exchange
  kAllAnnounced,  ///< hub: all ranks have announced that exchange and agree
  kLeave,         ///< rank: I have destroyed my communicator
  kLeft,          ///< hub: a rank has left
  kAllLeft,       ///< hub: all ranks have left
  kGather,        ///< rank: my part of a gathering
  kGathered,      ///< hub: all parts of a gathering
  kQuery,         ///< rank: who has not begun an exchange?
  kMissing,       ///< hub: the answer
  kOverdue,       ///< rank: a gathering has taken longer than it may; that of the addresses: joining has
};
inline constexpr auto kLastMessageType = MessageType::kOverdue;

/// What ranks gather: each gives a part, and each gets the parts of all.
enum class Gathering : std::uint8_t {
  kAddresses,  ///< addresses of transports, in which joining ends; there is one
  kSplit,      ///< what the ranks ask of a split
  kAllGather,  ///< what the user's calls of signcclCommAllGather() bring
};
inline constexpr auto kLastGathering = Gathering::kAllGather;

/// Splits and all-gathers of a communicator are counted together, and the ranks' n-th belong together: ranks in
/// different calls do not take each other's parts, and are found.
struct GatheringId {
  Gathering purpose = Gathering::kAddresses;
  std::uint64_t number = 0;

  friend auto operator<=>(const GatheringId&, const GatheringId&) = default;
};
inline constexpr GatheringId kAddressGathering{Gathering::kAddresses, 0};

/// The id that a split or an all-gather would have if it were the other of the two.
constexpr GatheringId otherKind(const GatheringId& id) {
  return {id.purpose == Gathering::kSplit ? Gathering::kAllGather : Gathering::kSplit, id.number};
}

/// Who a rank is.
struct RankInfo {
  std::string host;             ///< ranks with the same text share a node
  std::string machine;          ///< ranks with the same text share a kernel
  std::string cores;            ///< cores of the machine that it may use, see usableCores()
  std::uint64_t process = 0;    ///< ranks with the same number are threads of one process
  std::uint32_t link_mbit = 0;  ///< speed of its network interface, 0: unknown
  CpuQuota quota;
  /// Of the host where the ranks meet: the address at which this rank has reached it; empty if it is on that host. The
  /// hub fills it in.
  std::string hub_address;

  friend bool operator==(const RankInfo&, const RankInfo&) = default;
};

struct HelloMessage {
  std::uint16_t wire_version = kWireVersion;
  Secret secret{};
  Rank rank = 0;
  std::int32_t nranks = 0;
  std::string version;  ///< of SignCCL
  RankInfo info;
  SharedSettings settings;
};

struct RosterMessage {
  Secret group{};  ///< names the group: drawn by its hub
  std::uint64_t hub_process = 0;
  std::vector<RankInfo> ranks;
};

struct AnnounceMessage {
  std::uint64_t exchange = 0;
  std::string signature;  ///< what the rank has called: bytes that are only compared here
};

struct LeftMessage {
  Rank rank = 0;
  std::uint64_t begun = 0;  ///< exchanges that it took part in
};

struct GatherMessage {
  GatheringId id;
  std::string part;
};

struct GatheredMessage {
  GatheringId id;
  std::vector<std::string> parts;  ///< [rank]
};

struct MissingMessage {
  std::uint64_t exchange = 0;
  std::vector<Rank> ranks;
};

std::string encode(const HelloMessage& message);
std::string encode(const RosterMessage& message);
std::string encode(const Failure& message);
std::string encode(const AnnounceMessage& message);
std::string encode(const LeftMessage& message);
std::string encode(const GatherMessage& message);
std::string encode(const GatheredMessage& message);
std::string encode(const MissingMessage& message);
/// Of kOverdue.
std::string encode(const GatheringId& message);
/// Of kHeartbeat, kAllAnnounced, kLeave and kQuery, which are a number alone.
std::string encodeNumber(std::uint64_t number);

/// Decoders take any bytes and throw Error with signcclRemoteError for those that are no such message. A Hello of
/// another wire version has only its version and secret filled in.
HelloMessage decodeHello(std::string_view bytes);
RosterMessage decodeRoster(std::string_view bytes);
Failure decodeFailure(std::string_view bytes);
AnnounceMessage decodeAnnounce(std::string_view bytes);
LeftMessage decodeLeft(std::string_view bytes);
GatherMessage decodeGather(std::string_view bytes);
GatheredMessage decodeGathered(std::string_view bytes);
MissingMessage decodeMissing(std::string_view bytes);
GatheringId decodeGatheringId(std::string_view bytes);
std::uint64_t decodeNumber(std::string_view bytes);

/// True if all of `ranks` are from 0 to nranks - 1.
bool areRanks(const std::vector<Rank>& ranks, int nranks);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_MESSAGES_H_
