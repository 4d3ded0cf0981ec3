// SPDX-License-Identifier: Apache-2.0
// The signature of an exchange as ranks announce it: bytes that are taken come back when they are encoded again, and
// any two can be compared in words.
#include "base/error.h"
#include "comm/signature.h"
#include "fuzz/fuzz.h"

namespace signccl {

std::vector<std::string> fuzzSeeds() {
  return {encode({.calls = {{1}}}),
          encode({.op = SignOp::kAvg,
                  .votes_per_rank = 2,
                  .tie = TieRule::kNegative,
                  .first_tensor = 3,
                  .calls = {{std::uint64_t{1} << 40, 3, {2, "beta1=0.9, beta2=0.99"}, {7, "bits"}},
                            {0, 4, {3, "float64"}, {6, "int32"}}}})};
}

}  // namespace signccl

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace signccl;
  const std::string bytes(asText(data, size));
  mustHold(!describeEncoded(bytes, 0, encode({.calls = {{1}}}), 1).empty(), "a difference can be described");
  try {
    mustHold(encode(decodeSignature(bytes)) == bytes, "a signature comes back with its bytes");
  } catch (const Error& error) {
    mustHold(error.code() == signcclRemoteError, "a malformed signature is the fault of the peer");
  }
  return 0;
}
