// SPDX-License-Identifier: Apache-2.0
#include "control/frame.h"

#include "base/error.h"
#include "control/wire.h"

namespace signccl {

std::string encodeFrame(const Frame& frame) {
  SIGNCCL_ASSERT(frame.payload.size() <= kMaxPayload);
  WireWriter writer;
  writer.number(static_cast<std::uint32_t>(frame.payload.size()));
  return writer.number(static_cast<std::uint8_t>(frame.type)).raw(frame.payload).take();
}

std::span<char> FrameParser::wanted() { return in_payload_ ? std::span<char>(payload_) : std::span<char>(header_); }

std::optional<Frame> FrameParser::advance() {
  if (!in_payload_) {
    WireReader reader({header_.data(), header_.size()});
    const auto size = reader.number<std::uint32_t>();
    const auto type = reader.number<std::uint8_t>();
    if (size > max_payload_) {
      throw Error(signcclRemoteError, "malformed control message: it announces " + std::to_string(size) +
                                          " bytes, expected at most " + std::to_string(max_payload_));
    }
    if (type == 0 || type > static_cast<std::uint8_t>(kLastMessageType)) WireReader::fail("its type is unknown");
    type_ = static_cast<MessageType>(type);
    payload_.resize(size);
    in_payload_ = size > 0;
    if (in_payload_) return std::nullopt;
  }
  in_payload_ = false;
  return Frame{type_, payload_};
}

}  // namespace signccl
