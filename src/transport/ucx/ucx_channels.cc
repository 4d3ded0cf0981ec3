// SPDX-License-Identifier: Apache-2.0
#include "transport/ucx/ucx_channels.h"

#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace signccl {
namespace {

void appendPart(std::string& parts, const std::string& part) {
  const auto size = static_cast<std::uint32_t>(part.size());
  char bytes[sizeof size];
  std::memcpy(bytes, &size, sizeof size);
  parts.append(bytes, sizeof size).append(part);
}

/// The parts of what appendPart() made; nothing if there are not `count` of them.
std::vector<std::string> partsOf(std::string_view parts, std::size_t count) {
  std::vector<std::string> found;
  while (!parts.empty()) {
    std::uint32_t size = 0;
    if (parts.size() < sizeof size) return {};
    std::memcpy(&size, parts.data(), sizeof size);
    parts.remove_prefix(sizeof size);
    if (parts.size() < size) return {};
    found.emplace_back(parts.substr(0, size));
    parts.remove_prefix(size);
  }
  return found.size() == count ? found : std::vector<std::string>{};
}

}  // namespace

UcxChannels::UcxChannels(const std::shared_ptr<UcxContext>& context, Rank rank, int nranks,
                         const ProcessTransportOptions& options) {
  for (int channel = 0; channel < options.nchannels; ++channel) {
    channels_.push_back(std::make_unique<UcxTransport>(context, rank, nranks, options));
    appendPart(address_, channels_.back()->address());
  }
}

void UcxChannels::setAddresses(std::vector<std::string> addresses) {
  std::vector<std::vector<std::string>> of_channel(channels_.size());
  for (std::size_t rank = 0; rank < addresses.size(); ++rank) {
    std::vector<std::string> parts = partsOf(addresses[rank], channels_.size());
    if (parts.empty()) {
      throw Error(signcclInternalError, "the address of rank " + std::to_string(rank) + ", of " +
                                            std::to_string(addresses[rank].size()) + " bytes, is not that of " +
                                            std::to_string(channels_.size()) + " channels");
    }
    for (std::size_t channel = 0; channel < channels_.size(); ++channel) {
      of_channel[channel].push_back(std::move(parts[channel]));
    }
  }
  for (std::size_t channel = 0; channel < channels_.size(); ++channel) {
    channels_[channel]->setAddresses(std::move(of_channel[channel]));
  }
}

UcxTransport& UcxChannels::channelFor(const Tag& tag, Request& request) {
  request.transport.channel = static_cast<std::uint32_t>(tag.slice % channels_.size());
  return *channels_[request.transport.channel];
}

void UcxChannels::send(Rank peer, Tag tag, ConstBytes bytes, Request& request) {
  channelFor(tag, request).send(peer, tag, bytes, request);
}

void UcxChannels::recv(Rank peer, Tag tag, Bytes memory, Landing landing, Request& request) {
  channelFor(tag, request).recv(peer, tag, memory, landing, request);
}

void UcxChannels::progress(std::vector<Request*>& completed) {
  for (const auto& channel : channels_) channel->progress(completed);
}

bool UcxChannels::flush() {
  bool is_flushed = true;
  for (const auto& channel : channels_) is_flushed = channel->flush() && is_flushed;
  return is_flushed;
}

void UcxChannels::wait(std::chrono::microseconds longest) { UcxTransport::waitForAny(channels_, longest); }

void UcxChannels::keepAlive(std::shared_ptr<const void> memory) {
  for (const auto& channel : channels_) channel->keepAlive(memory);
}

TransportCounters UcxChannels::counters() const {
  TransportCounters sum;
  for (const auto& channel : channels_) {
    const TransportCounters one = channel->counters();
    sum.bytes_sent += one.bytes_sent;
    sum.bytes_received += one.bytes_received;
    sum.messages_sent += one.messages_sent;
    sum.messages_received += one.messages_received;
  }
  return sum;
}

std::unique_ptr<ProcessTransport> makeProcessTransport(const ProcessTransportOptions& options, Rank rank, int nranks) {
  const std::shared_ptr<UcxContext> context = UcxContext::open(options.net_devices, options.ucx_library);
  if (options.nchannels == 1) return std::make_unique<UcxTransport>(context, rank, nranks, options);
  return std::make_unique<UcxChannels>(context, rank, nranks, options);
}

}  // namespace signccl
