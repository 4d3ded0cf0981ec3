// SPDX-License-Identifier: Apache-2.0
// One worker's communicator, owned. The only file of this example that calls SignCCL.
#ifndef DIGITS_SIGN_GROUP_H_
#define DIGITS_SIGN_GROUP_H_

#include <cstdint>
#include <span>
#include <string>

#include "signccl/signccl.h"

namespace digits {

/// What a worker needs of SignCCL. Failures throw std::runtime_error with the library's own words.
class SignGroup {
 public:
  /// Joins as `rank`; returns when all `nranks` workers have. `algorithm` is one of signcclConfig_t, or empty to let
  /// the library choose.
  SignGroup(int nranks, const signcclUniqueId& id, int rank, const std::string& algorithm);
  ~SignGroup();
  SignGroup(const SignGroup&) = delete;
  SignGroup& operator=(const SignGroup&) = delete;

  /// Replaces `values` by the majority of the workers' signs.
  void vote(std::span<float> values, const signcclSignConfig_t& rules);

  /// Replaces `values` by the mean of the workers' signs.
  void average(std::span<float> values, const signcclSignConfig_t& rules);

  /// Bytes this worker has sent so far, as the transport counted them.
  [[nodiscard]] std::uint64_t bytesSent() const;

  /// Lets the other workers fail instead of waiting for this one.
  void abort() noexcept;

 private:
  signcclComm_t comm_ = nullptr;
};

}  // namespace digits

#endif  // DIGITS_SIGN_GROUP_H_
