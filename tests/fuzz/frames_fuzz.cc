// SPDX-License-Identifier: Apache-2.0
// The parser of the byte stream of a connection: frames come out as they went in, wherever the stream is cut.
#include <algorithm>

#include "base/error.h"
#include "control/example_messages.h"
#include "control/frame.h"
#include "fuzz/fuzz.h"

namespace signccl {

std::vector<std::string> fuzzSeeds() {
  const std::string hello = encodeFrame({MessageType::kHello, encode(exampleHello())});
  return {hello, hello + encodeFrame({MessageType::kAllLeft, {}}) + encodeFrame({MessageType::kLeave, encodeNumber(1)}),
          encodeFrame({MessageType::kGather, std::string(1000, 'x')})};
}

}  // namespace signccl

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace signccl;
  const std::string_view stream = asText(data, size);
  std::string_view rest = stream;
  std::string parsed;
  FrameParser parser;
  try {
    while (true) {
      const std::span<char> wanted = parser.wanted();
      mustHold(!wanted.empty() && wanted.size() <= kMaxStrangerPayload, "a stranger has a few bytes at most");
      if (rest.size() < wanted.size()) break;
      std::copy_n(rest.begin(), wanted.size(), wanted.begin());
      rest.remove_prefix(wanted.size());
      if (const auto frame = parser.advance()) parsed += encodeFrame(*frame);
    }
  } catch (const Error& error) {
    mustHold(error.code() == signcclRemoteError, "a malformed stream is the fault of the peer");
  }
  mustHold(stream.starts_with(parsed), "frames come back with their bytes");
  return 0;
}
