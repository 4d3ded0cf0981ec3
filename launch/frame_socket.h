// A TCP connection between two processes: frames with a type and a payload.
#ifndef SIGNCCL_LAUNCH_FRAME_SOCKET_H_
#define SIGNCCL_LAUNCH_FRAME_SOCKET_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <asio/ip/tcp.hpp>

namespace signccl::launch {

enum class FrameType : std::uint32_t {
  kHello,    ///< the first of whoever connects
  kWelcome,  ///< the answer
  kData,
  kAbort,  ///< the sender has failed; the payload says why
};

struct Frame {
  FrameType type = FrameType::kData;
  std::string payload;
};

/// Handlers are called by the io_context. One send and one receive may be under way at a time.
class FrameSocket : public std::enable_shared_from_this<FrameSocket> {
 public:
  using SendHandler = std::function<void(asio::error_code)>;
  using ReceiveHandler = std::function<void(asio::error_code, Frame)>;

  explicit FrameSocket(asio::ip::tcp::socket socket);

  void send(Frame frame, SendHandler done);

  /// Gives asio::error::message_size for a frame of more than `max_bytes`, and a protocol error for what is no frame.
  void receive(std::size_t max_bytes, const ReceiveHandler& done);

  [[nodiscard]] bool isSending() const { return is_sending_; }

  void close();

 private:
  struct Header {
    std::uint32_t magic;
    FrameType type;
    std::uint64_t bytes;
  };

  asio::ip::tcp::socket socket_;
  Header out_header_{};
  Frame out_;
  bool is_sending_ = false;
  Header in_header_{};
  Frame in_;
};

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_FRAME_SOCKET_H_
