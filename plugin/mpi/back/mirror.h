// SPDX-License-Identifier: Apache-2.0
// What SignCCL keeps of one communicator of MPI. It hangs on it as an attribute, so that it ends with it.
#ifndef SIGNCCL_PLUGIN_MPI_BACK_MIRROR_H_
#define SIGNCCL_PLUGIN_MPI_BACK_MIRROR_H_

#include <cstdint>
#include <mpi.h>
#include <string>

#include "mpi/back/foresight.h"
#include "mpi/back/next_calls.h"
#include "rules/rules.h"
#include "rules/takeover.h"
#include "signccl/signccl.h"

namespace signccl::mpi {

/// As MPI orders the collectives of a communicator, one thread at a time uses a mirror.
class Mirror {
 public:
  enum class State : std::uint8_t {
    kWaiting,  ///< no communicator of SignCCL yet
    kAttached,
    kForwards,  ///< could not be attached: its calls are forwarded
    kFailed     ///< a call failed after the ranks had agreed to take it over: all further ones fail, too
  };

  explicit Mirror(MPI_Comm comm);
  ~Mirror();
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  /// Lets the ranks compare how the globs of the rules see the communicator's name, which may differ between ranks:
  /// where they disagree, it has no name for the rules. Collective at the first call, if rules have globs.
  void agreeOnName(const rules::RuleSet& rules, const NextCalls& next);

  /// Makes the communicator of SignCCL. Collective; afterwards the state is kAttached on all ranks, or kForwards on
  /// all. Returns what went wrong on this rank, or an empty text.
  std::string attach(const NextCalls& next);

  /// The communicator of SignCCL is of no use any more, and the other ranks are told. Returns the error code of MPI.
  int fail(const std::string& reason);

  [[nodiscard]] MPI_Comm comm() const { return comm_; }
  [[nodiscard]] int ranks() const { return ranks_; }
  [[nodiscard]] bool isIntercommunicator() const { return is_intercommunicator_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] int errorCode() const { return error_code_; }
  [[nodiscard]] signcclComm_t signccl() const { return signccl_; }

  /// Counts a call that matched a rule that takes calls; returns how many there were, this one included.
  std::uint64_t countMatch() { return ++matches_; }

  /// Bytes that SignCCL has sent since the last time that it was asked.
  std::uint64_t newBytesSent();

  [[nodiscard]] rules::Takeover& takeover() { return takeover_; }
  [[nodiscard]] Foresight& foresight() { return foresight_; }

 private:
  signcclResult_t joinRanks(const NextCalls& next);

  MPI_Comm comm_;
  int ranks_ = 0;
  bool is_intercommunicator_ = false;
  bool is_name_agreed_ = false;
  std::string name_;
  State state_ = State::kWaiting;
  int error_code_ = MPI_SUCCESS;
  std::uint64_t matches_ = 0;
  std::uint64_t bytes_sent_ = 0;
  rules::Takeover takeover_;
  Foresight foresight_;
  signcclComm_t signccl_ = nullptr;
};

}  // namespace signccl::mpi

#endif  // SIGNCCL_PLUGIN_MPI_BACK_MIRROR_H_
