#include "launch/exchange.h"

#include <cstdint>
#include <cstring>

#include "launch/error.h"
#include "launch/links.h"

namespace signccl::launch {
namespace {

/// Texts in a text: the size of each, then its bytes.
std::string pack(const std::vector<std::string>& parts) {
  std::string packed;
  for (const std::string& part : parts) {
    const std::uint64_t bytes = part.size();
    packed.append(reinterpret_cast<const char*>(&bytes), sizeof bytes).append(part);
  }
  return packed;
}

std::vector<std::string> unpack(const std::string& packed, int nparts) {
  std::vector<std::string> parts;
  std::size_t position = 0;
  std::uint64_t bytes = 0;
  while (packed.size() - position >= sizeof bytes) {
    std::memcpy(&bytes, packed.data() + position, sizeof bytes);
    position += sizeof bytes;
    if (bytes > packed.size() - position) break;
    parts.push_back(packed.substr(position, bytes));
    position += bytes;
  }
  if (position != packed.size() || static_cast<int>(parts.size()) != nparts) {
    throw LaunchError("process 0 sent " + std::to_string(parts.size()) + " parts, expected " + std::to_string(nparts));
  }
  return parts;
}

}  // namespace

Exchange::Exchange() = default;
Exchange::~Exchange() = default;

Exchange::Exchange(ListeningSocket socket, const Party& party)
    : place_(party.place), links_(std::make_unique<Links>(std::move(socket), party)) {}

Exchange::Exchange(const std::vector<Address>& addresses, const Party& party)
    : place_(party.place), links_(std::make_unique<Links>(addresses, party)) {}

std::vector<std::string> Exchange::gather(const std::string& part) {
  if (!links_) return {part};
  if (!isFirst()) {
    links_->send(part);
    return {};
  }
  std::vector<std::string> parts = links_->receive();
  parts.front() = part;
  return parts;
}

std::string Exchange::broadcast(const std::string& value) {
  if (!links_) return value;
  if (!isFirst()) return links_->receive().front();
  links_->send(value);
  return value;
}

std::vector<std::string> Exchange::allGather(const std::string& part) {
  std::vector<std::string> parts = gather(part);
  if (!links_) return parts;
  return unpack(broadcast(pack(parts)), place_.nprocesses);
}

void Exchange::abort(const std::string& reason) noexcept {
  if (links_) links_->abort(reason);
}

}  // namespace signccl::launch
