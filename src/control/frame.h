// SPDX-License-Identifier: Apache-2.0
// Frames: what the byte stream of a control connection consists of. Size of the payload, type, payload.
#ifndef SIGNCCL_CONTROL_FRAME_H_
#define SIGNCCL_CONTROL_FRAME_H_

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "control/messages.h"

namespace signccl {

/// Sizes of payloads that are accepted: from anybody, and from those who have proved that they belong to the job.
inline constexpr std::size_t kMaxStrangerPayload = std::size_t{64} << 10;
inline constexpr std::size_t kMaxPayload = std::size_t{64} << 20;

struct Frame {
  MessageType type = MessageType::kHello;
  std::string_view payload;
};

/// The bytes of a frame. Throws signcclInternalError for a payload that no peer would accept.
std::string encodeFrame(const Frame& frame);

/// Cuts a stream of bytes, which may come from anybody, into frames. Knows no socket.
class FrameParser {
 public:
  /// Accepts larger payloads from now on.
  void trust() { max_payload_ = kMaxPayload; }

  /// Where the next bytes of the stream belong: at least one.
  [[nodiscard]] std::span<char> wanted();

  /// To be called when all of wanted() is filled. Gives the frame that ends there, if one does; its payload is valid
  /// until the next call. Throws Error with signcclRemoteError for what cannot be a frame; the stream is then lost.
  std::optional<Frame> advance();

 private:
  std::array<char, 5> header_{};
  std::string payload_;
  MessageType type_ = MessageType::kHello;
  std::size_t max_payload_ = kMaxStrangerPayload;
  bool in_payload_ = false;
};

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_FRAME_H_
