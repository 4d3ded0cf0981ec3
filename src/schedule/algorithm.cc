// SPDX-License-Identifier: Apache-2.0
#include "schedule/algorithm.h"

#include <array>

#include "base/error.h"
#include "schedule/generators.h"

namespace signccl {
namespace {

constexpr std::array<Algorithm, kNumAlgorithms> kAll = {Algorithm::kOneShot, Algorithm::kDirect,
                                                        Algorithm::kRing,    Algorithm::kTree,
                                                        Algorithm::kKnomial, Algorithm::kHierarchical};

}  // namespace

std::span<const Algorithm> allAlgorithms() { return kAll; }

std::string_view algorithmName(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kOneShot:
      return "oneshot";
    case Algorithm::kDirect:
      return "direct";
    case Algorithm::kRing:
      return "ring";
    case Algorithm::kTree:
      return "tree";
    case Algorithm::kKnomial:
      return "knomial";
    case Algorithm::kHierarchical:
      return "hierarchical";
  }
  return "unknown";
}

std::string algorithmNames() {
  std::string names;
  for (const Algorithm algorithm : kAll) {
    names += (names.empty() ? "" : ", ") + std::string(algorithmName(algorithm));
  }
  return names;
}

std::optional<Algorithm> parseAlgorithm(std::string_view name) {
  for (const Algorithm algorithm : kAll) {
    if (algorithmName(algorithm) == name) return algorithm;
  }
  return std::nullopt;
}

Schedule buildSchedule(Algorithm algorithm, Rank rank, const Topology& topology) {
  const int nranks = topology.nranks();
  SIGNCCL_ASSERT(rank >= 0 && rank < nranks);
  switch (algorithm) {
    case Algorithm::kOneShot:
      return buildOneShot(rank, nranks);
    case Algorithm::kDirect:
      return buildDirect(rank, nranks);
    case Algorithm::kRing:
      return buildRing(rank, nranks);
    case Algorithm::kTree:
      return buildTree(rank, nranks);
    case Algorithm::kKnomial:
      return buildKnomial(rank, nranks);
    case Algorithm::kHierarchical:
      return buildHierarchical(rank, topology);
  }
  throwInternal("unknown algorithm", __FILE__, __LINE__);
}

}  // namespace signccl
