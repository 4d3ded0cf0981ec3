// SPDX-License-Identifier: Apache-2.0
// The decoders of all control messages: the first byte is the type, the rest the message. A message that is taken must
// come back with the same bytes when it is encoded: otherwise two messages would mean the same, or a field was lost.
#include "base/error.h"
#include "control/example_messages.h"
#include "fuzz/fuzz.h"

namespace signccl {
namespace {

std::string again(MessageType type, std::string_view bytes) {
  switch (type) {
    case MessageType::kHello: {
      const HelloMessage hello = decodeHello(bytes);
      return hello.wire_version == kWireVersion ? encode(hello) : std::string(bytes);
    }
    case MessageType::kRoster:
      return encode(decodeRoster(bytes));
    case MessageType::kFailure:
      return encode(decodeFailure(bytes));
    case MessageType::kAnnounce:
      return encode(decodeAnnounce(bytes));
    case MessageType::kLeft:
      return encode(decodeLeft(bytes));
    case MessageType::kGather:
      return encode(decodeGather(bytes));
    case MessageType::kGathered:
      return encode(decodeGathered(bytes));
    case MessageType::kMissing:
      return encode(decodeMissing(bytes));
    case MessageType::kOverdue:
      return encode(decodeGatheringId(bytes));
    case MessageType::kAllLeft:
      return std::string(bytes);
    case MessageType::kHeartbeat:
    case MessageType::kAllAnnounced:
    case MessageType::kLeave:
    case MessageType::kQuery:
      return encodeNumber(decodeNumber(bytes));
  }
  return std::string(bytes);
}

std::string seed(MessageType type, const std::string& message) { return static_cast<char>(type) + message; }

}  // namespace

std::vector<std::string> fuzzSeeds() {
  return {
      seed(MessageType::kHello, encode(exampleHello())),       seed(MessageType::kRoster, encode(exampleRoster())),
      seed(MessageType::kFailure, encode(exampleFailure())),   seed(MessageType::kAnnounce, encode(exampleAnnounce())),
      seed(MessageType::kLeft, encode(exampleLeft())),         seed(MessageType::kGather, encode(exampleGather())),
      seed(MessageType::kGathered, encode(exampleGathered())), seed(MessageType::kMissing, encode(exampleMissing())),
      seed(MessageType::kOverdue, encode(exampleGather().id)), seed(MessageType::kQuery, encodeNumber(7))};
}

}  // namespace signccl

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace signccl;
  if (size == 0) return 0;
  const std::string_view message = asText(data + 1, size - 1);
  try {
    mustHold(again(static_cast<MessageType>(data[0]), message) == message, "a message comes back with its bytes");
  } catch (const Error& error) {
    mustHold(error.code() == signcclRemoteError, "a malformed message is the fault of the peer");
  }
  return 0;
}
