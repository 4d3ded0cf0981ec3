// SPDX-License-Identifier: Apache-2.0
#include "schedule/verify/message_match.h"

#include <algorithm>
#include <string>

#include "schedule/verify/objection.h"

namespace signccl {
namespace {

/// The sends, or the receives, of one rank, sorted by peer and in program order for each.
struct ByPeer {
  std::vector<std::int32_t> steps;
  std::vector<std::uint32_t> first;  ///< [nranks + 1] where the steps of a peer begin

  [[nodiscard]] std::span<const std::int32_t> of(Rank peer) const {
    const auto p = static_cast<std::size_t>(peer);
    return std::span(steps).subspan(first[p], first[p + 1] - first[p]);
  }
};

ByPeer sortByPeer(const Schedule& schedule, StepKind kind) {
  ByPeer sorted;
  sorted.first.resize(static_cast<std::size_t>(schedule.nranks) + 1);
  for (const Step& step : schedule.steps) {
    if (step.kind == kind) ++sorted.first[static_cast<std::size_t>(step.peer) + 1];
  }
  for (std::size_t peer = 1; peer < sorted.first.size(); ++peer) sorted.first[peer] += sorted.first[peer - 1];
  sorted.steps.resize(sorted.first.back());
  std::vector<std::uint32_t> next = sorted.first;
  for (std::size_t i = 0; i < schedule.steps.size(); ++i) {
    const Step& step = schedule.steps[i];
    if (step.kind == kind) sorted.steps[next[static_cast<std::size_t>(step.peer)]++] = static_cast<std::int32_t>(i);
  }
  return sorted;
}

void requireSameContent(const Schedule& sender, std::size_t send, const Schedule& receiver, std::size_t recv) {
  const Step& sent = sender.steps[send];
  const Step& expected = receiver.steps[recv];
  if (sent.chunk != expected.chunk || sent.nchunks != expected.nchunks) {
    objectTo(receiver, recv, "expects other chunks than " + describe(sender, send) + " delivers");
  }
  if (sent.round != expected.round) {
    objectTo(receiver, recv, "expects it in another round than " + describe(sender, send) + " delivers it in");
  }
  if (sent.votes != expected.votes) {
    objectTo(receiver, recv,
             "expects another number of votes, so another width, than " + describe(sender, send) + " delivers");
  }
}

}  // namespace

MessageMatch matchMessages(std::span<const Schedule> ranks) {
  MessageMatch match(ranks.size());
  std::vector<ByPeer> receives;
  receives.reserve(ranks.size());
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    match[rank].assign(ranks[rank].steps.size(), -1);
    receives.push_back(sortByPeer(ranks[rank], StepKind::kRecv));
  }
  for (std::size_t from = 0; from < ranks.size(); ++from) {
    const ByPeer sends = sortByPeer(ranks[from], StepKind::kSend);
    for (std::size_t to = 0; to < ranks.size(); ++to) {
      const auto sent = sends.of(static_cast<Rank>(to));
      const auto received = receives[to].of(static_cast<Rank>(from));
      for (std::size_t i = 0; i < std::min(sent.size(), received.size()); ++i) {
        const auto send = static_cast<std::size_t>(sent[i]);
        const auto recv = static_cast<std::size_t>(received[i]);
        requireSameContent(ranks[from], send, ranks[to], recv);
        match[from][send] = received[i];
        match[to][recv] = sent[i];
      }
      if (sent.size() > received.size()) {
        objectTo(ranks[from], static_cast<std::size_t>(sent[received.size()]), "its peer never receives it");
      }
      if (received.size() > sent.size()) {
        objectTo(ranks[to], static_cast<std::size_t>(received[sent.size()]), "its peer never sends it");
      }
    }
  }
  return match;
}

}  // namespace signccl
