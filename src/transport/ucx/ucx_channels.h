// SPDX-License-Identifier: Apache-2.0
// Several UCX workers for one rank, so that large vectors travel over several connections to each peer at a time: one
// TCP connection does not fill a fast link.
#ifndef SIGNCCL_TRANSPORT_UCX_UCX_CHANNELS_H_
#define SIGNCCL_TRANSPORT_UCX_UCX_CHANNELS_H_

#include <memory>
#include <string>
#include <vector>

#include "transport/process_transport.h"
#include "transport/ucx/ucx_transport.h"

namespace signccl {

/// Slices take the channels in turn, so both ends know the channel of a message by its tag. All ranks need the same
/// number of channels.
class UcxChannels final : public ProcessTransport {
 public:
  UcxChannels(const std::shared_ptr<UcxContext>& context, Rank rank, int nranks,
              const ProcessTransportOptions& options);

  /// The addresses of all channels, each after its size in 4 bytes.
  [[nodiscard]] const std::string& address() const override { return address_; }
  /// Throws signcclInternalError if an address is not that of as many channels.
  void setAddresses(std::vector<std::string> addresses) override;
  void send(Rank peer, Tag tag, ConstBytes bytes, Request& request) override;
  void recv(Rank peer, Tag tag, Bytes memory, Landing landing, Request& request) override;
  void release(Request& request) override { channels_[request.transport.channel]->release(request); }
  void progress(std::vector<Request*>& completed) override;
  bool flush() override;
  void wait(std::chrono::microseconds longest) override;
  void wake() override { channels_.front()->wake(); }
  void keepAlive(std::shared_ptr<const void> memory) override;
  [[nodiscard]] TransportCounters counters() const override;

 private:
  /// Notes the channel of a message in its request.
  UcxTransport& channelFor(const Tag& tag, Request& request);

  std::vector<std::unique_ptr<UcxTransport>> channels_;
  std::string address_;
};

}  // namespace signccl

#endif  // SIGNCCL_TRANSPORT_UCX_UCX_CHANNELS_H_
