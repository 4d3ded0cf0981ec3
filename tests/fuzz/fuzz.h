// SPDX-License-Identifier: Apache-2.0
// What a fuzzing target defines. Its file is linked with libFuzzer under preset fuzz, and with replay.cc, which needs
// no special compiler, under every preset.
#ifndef SIGNCCL_TESTS_FUZZ_FUZZ_H_
#define SIGNCCL_TESTS_FUZZ_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

/// Tries one input.
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace signccl {

/// Inputs to begin with: valid ones, made by the encoders.
std::vector<std::string> fuzzSeeds();

/// Ends the process, which is a finding, unless `holds`.
inline void mustHold(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

inline std::string_view asText(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_FUZZ_FUZZ_H_
