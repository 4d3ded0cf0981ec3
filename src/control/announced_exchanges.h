// SPDX-License-Identifier: Apache-2.0
// Exchanges that ranks have announced to their hub, which compares whether all ranks have called the same.
#ifndef SIGNCCL_CONTROL_ANNOUNCED_EXCHANGES_H_
#define SIGNCCL_CONTROL_ANNOUNCED_EXCHANGES_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "control/messages.h"

namespace signccl {

/// Data alone: knows no connections, and not what a signature means.
class AnnouncedExchanges {
 public:
  /// What an announcement leads to.
  enum class Outcome : std::uint8_t { kIncomplete, kComplete, kDisagreement };
  struct Result {
    Outcome outcome = Outcome::kIncomplete;
    Rank first_rank = 0;    ///< of a disagreement: who announced the exchange first,
    std::string signature;  ///< and as what
  };

  /// Notes what a rank has called as an exchange; a second announcement of it changes nothing. An exchange that all of
  /// the `nranks` ranks have announced is forgotten, and so is the oldest where there are too many: only exchanges that
  /// hang or have no data are announced at all.
  Result add(Rank rank, const AnnounceMessage& message, std::size_t nranks);

 private:
  struct Entry {
    Rank first_rank = 0;
    std::string signature;
    std::set<Rank> ranks;
  };

  std::map<std::uint64_t, Entry> under_way_;
};

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_ANNOUNCED_EXCHANGES_H_
