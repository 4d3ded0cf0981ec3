// SPDX-License-Identifier: Apache-2.0
#include "mpi/back/mirror.h"

#include <array>
#include <utility>

#include "mpi/back/end_job.h"

namespace signccl::mpi {
namespace {

constexpr int kReady = 1;
constexpr int kNotReady = 0;

// How the ranks of an MPI communicator find each other for SignCCL.
struct Meeting {
  MPI_Comm comm;
  const NextCalls* next;
  bool has_begun = false;
  bool are_all_ready = false;

  // Every rank comes here once, from the gathering or, if it could not even begin, without one.
  void agree(int readiness) {
    has_begun = true;
    are_all_ready = next->smallest(readiness, comm) == kReady;
  }
};

int gather(const void* send, void* recv, std::size_t bytes, void* context) {
  auto& meeting = *static_cast<Meeting*>(context);
  meeting.agree(kReady);
  if (!meeting.are_all_ready) return 1;
  const int count = static_cast<int>(bytes);
  return meeting.next->all_gather(send, count, MPI_BYTE, recv, count, MPI_BYTE, meeting.comm);
}

// FNV-1a over one answer for each glob.
std::uint64_t digestOfGlobs(const rules::RuleSet& rules, const std::string& name) {
  std::uint64_t digest = 0xcbf29ce484222325;
  for (const rules::Rule& rule : rules.rules()) {
    if (!rule.match.comm) continue;
    digest ^= rules::globMatches(*rule.match.comm, name) ? 1 : 2;
    digest *= 0x100000001b3;
  }
  return digest;
}

bool haveGlobs(const rules::RuleSet& rules) {
  for (const rules::Rule& rule : rules.rules()) {
    if (rule.match.comm) return true;
  }
  return false;
}

}  // namespace

Mirror::Mirror(MPI_Comm comm) : comm_(comm) {
  int is_intercommunicator = 0;
  PMPI_Comm_test_inter(comm, &is_intercommunicator);
  is_intercommunicator_ = is_intercommunicator != 0;
  PMPI_Comm_size(comm, &ranks_);
  std::array<char, MPI_MAX_OBJECT_NAME> name{};
  int length = 0;
  PMPI_Comm_get_name(comm, name.data(), &length);
  name_.assign(name.data(), static_cast<std::size_t>(length));
}

Mirror::~Mirror() {
  if (signccl_ != nullptr) signcclCommDestroy(signccl_);
}

void Mirror::agreeOnName(const rules::RuleSet& rules, const NextCalls& next) {
  if (is_name_agreed_) return;
  is_name_agreed_ = true;
  if (!haveGlobs(rules)) return;
  const std::uint64_t digest = digestOfGlobs(rules, name_);
  const std::array<std::uint64_t, 2> own = {digest, ~digest};
  std::array<std::uint64_t, 2> smallest{};
  next.all_reduce(own.data(), smallest.data(), 2, MPI_UINT64_T, MPI_MIN, comm_);
  if (smallest[0] == ~smallest[1]) return;
  int rank = 0;
  PMPI_Comm_rank(comm_, &rank);
  if (rank == 0)
    warn("rules see the names of a communicator differently on its ranks ('" + name_ +
         "' on rank 0): it counts as one without a name");
  name_.clear();
}

signcclResult_t Mirror::joinRanks(const NextCalls& next) {
  int rank = 0;
  PMPI_Comm_rank(comm_, &rank);
  Meeting meeting{comm_, &next};
  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  config.commName = name_.c_str();
  config.allGather = gather;
  config.allGatherContext = &meeting;
  const signcclResult_t result = signcclCommInitRankConfig(&signccl_, ranks_, signcclUniqueId{}, rank, &config);
  if (!meeting.has_begun) meeting.agree(kNotReady);
  const bool has_joined = result == signcclSuccess;
  if (meeting.are_all_ready && next.smallest(has_joined ? kReady : kNotReady, comm_) == kReady)
    state_ = State::kAttached;
  return result;
}

std::string Mirror::attach(const NextCalls& next) {
  state_ = State::kForwards;
  const signcclResult_t result = joinRanks(next);
  if (state_ == State::kAttached) return {};
  const std::string reason = result != signcclSuccess ? signcclGetLastError(nullptr) : "another rank could not join";
  if (signccl_ != nullptr) signcclCommDestroy(signccl_);
  signccl_ = nullptr;
  return reason;
}

int Mirror::fail(const std::string& reason) {
  state_ = State::kFailed;
  if (signccl_ != nullptr) signcclCommAbortWithReason(signccl_, reason.c_str());
  error_code_ = makeErrorCode("SignCCL: " + reason);
  return error_code_;
}

std::uint64_t Mirror::newBytesSent() {
  signcclCommStats_t stats{};
  stats.size = sizeof stats;
  signcclCommGetStats(signccl_, &stats);
  return stats.bytesSent - std::exchange(bytes_sent_, stats.bytesSent);
}

}  // namespace signccl::mpi
