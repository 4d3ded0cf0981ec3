#include "control/messages.h"

#include <algorithm>

#include "control/wire.h"

namespace signccl {
namespace {

constexpr std::uint32_t kHelloMagic = 0x4c434753;  // "SGCL"

/// An enumerator that is its own number on the wire, up to `last`.
template <typename Enum>
Enum readEnum(WireReader& reader, Enum last) {
  const auto value = reader.number<std::uint8_t>();
  if (value > static_cast<std::uint8_t>(last)) WireReader::fail("an enumerator is unknown");
  return static_cast<Enum>(value);
}

template <typename Enum>
void writeEnum(WireWriter& writer, Enum value) {
  writer.number(static_cast<std::uint8_t>(value));
}

void write(WireWriter& writer, const Secret& secret) {
  for (const std::uint8_t byte : secret) writer.number(byte);
}

void readSecret(WireReader& reader, Secret& secret) {
  for (std::uint8_t& byte : secret) byte = reader.number<std::uint8_t>();
}

void write(WireWriter& writer, const RankInfo& info) {
  writer.text(info.host).text(info.machine).text(info.cores).number(info.process).number(info.link_mbit);
}

RankInfo readRankInfo(WireReader& reader) {
  RankInfo info;
  info.host = reader.text();
  info.machine = reader.text();
  info.cores = reader.text();
  info.process = reader.number<std::uint64_t>();
  info.link_mbit = reader.number<std::uint32_t>();
  return info;
}

}  // namespace

std::string encode(const HelloMessage& message) {
  WireWriter writer;
  writer.number(kHelloMagic).number(message.wire_version);
  write(writer, message.secret);
  writer.number(message.rank).number(message.nranks).text(message.version);
  write(writer, message.info);
  writer.number(static_cast<std::uint32_t>(message.settings.size()));
  for (const auto& [name, value] : message.settings) writer.text(name).text(value);
  return writer.take();
}

HelloMessage decodeHello(std::string_view bytes) {
  WireReader reader(bytes);
  HelloMessage message;
  if (reader.number<std::uint32_t>() != kHelloMagic) WireReader::fail("it is no greeting of a rank");
  message.wire_version = reader.number<std::uint16_t>();
  readSecret(reader, message.secret);
  if (message.wire_version != kWireVersion) return message;
  message.rank = reader.number<Rank>();
  message.nranks = reader.number<std::int32_t>();
  message.version = reader.text();
  message.info = readRankInfo(reader);
  const std::uint32_t nsettings = reader.count(2 * sizeof(std::uint32_t));
  for (std::uint32_t i = 0; i < nsettings; ++i) {
    std::string name = reader.text();
    std::string value = reader.text();
    message.settings.emplace_back(std::move(name), std::move(value));
  }
  reader.finish();
  return message;
}

std::string encode(const RosterMessage& message) {
  WireWriter writer;
  write(writer, message.group);
  writer.number(message.hub_process).number(static_cast<std::uint32_t>(message.ranks.size()));
  for (const RankInfo& info : message.ranks) write(writer, info);
  return writer.take();
}

RosterMessage decodeRoster(std::string_view bytes) {
  WireReader reader(bytes);
  RosterMessage message;
  readSecret(reader, message.group);
  message.hub_process = reader.number<std::uint64_t>();
  const std::uint32_t nranks = reader.count(2 * sizeof(std::uint32_t) + sizeof(std::uint64_t));
  for (std::uint32_t i = 0; i < nranks; ++i) message.ranks.push_back(readRankInfo(reader));
  reader.finish();
  return message;
}

std::string encode(const Failure& message) {
  WireWriter writer;
  writeEnum(writer, message.code);
  writer.text(message.message);
  return writer.take();
}

Failure decodeFailure(std::string_view bytes) {
  WireReader reader(bytes);
  Failure message;
  message.code = readEnum(reader, signcclTimeout);
  if (message.code == signcclSuccess) WireReader::fail("a failure says that all is well");
  message.message = reader.text();
  reader.finish();
  return message;
}

std::string encode(const AnnounceMessage& message) {
  const ExchangeSignature& signature = message.signature;
  WireWriter writer;
  writer.number(message.exchange);
  writeEnum(writer, signature.op);
  writer.number(static_cast<std::uint8_t>(signature.votes_per_rank));
  writeEnum(writer, signature.tie);
  writer.number(static_cast<std::uint32_t>(signature.calls.size()));
  for (const CallSignature& call : signature.calls) {
    writer.number(call.count);
    writeEnum(writer, call.sendtype);
    writeEnum(writer, call.recvtype);
  }
  return writer.take();
}

AnnounceMessage decodeAnnounce(std::string_view bytes) {
  WireReader reader(bytes);
  AnnounceMessage message;
  ExchangeSignature& signature = message.signature;
  message.exchange = reader.number<std::uint64_t>();
  signature.op = readEnum(reader, SignOp::kAvg);
  signature.votes_per_rank = reader.number<std::uint8_t>();
  signature.tie = readEnum(reader, TieRule::kRandom);
  const std::uint32_t ncalls = reader.count(sizeof(std::uint64_t) + 2);
  constexpr auto kLastElementType = static_cast<ElementType>(kNumElementTypes - 1);
  for (std::uint32_t i = 0; i < ncalls; ++i) {
    CallSignature call;
    call.count = reader.number<std::uint64_t>();
    call.sendtype = readEnum(reader, kLastElementType);
    call.recvtype = readEnum(reader, kLastElementType);
    signature.calls.push_back(call);
  }
  reader.finish();
  return message;
}

std::string encode(const LeftMessage& message) {
  return WireWriter().number(message.rank).number(message.begun).take();
}

LeftMessage decodeLeft(std::string_view bytes) {
  WireReader reader(bytes);
  LeftMessage message;
  message.rank = reader.number<Rank>();
  message.begun = reader.number<std::uint64_t>();
  reader.finish();
  return message;
}

std::string encode(const GatherMessage& message) {
  return WireWriter().number(message.number).text(message.part).take();
}

GatherMessage decodeGather(std::string_view bytes) {
  WireReader reader(bytes);
  GatherMessage message;
  message.number = reader.number<std::uint64_t>();
  message.part = reader.text();
  reader.finish();
  return message;
}

std::string encode(const GatheredMessage& message) {
  WireWriter writer;
  writer.number(message.number).number(static_cast<std::uint32_t>(message.parts.size()));
  for (const std::string& part : message.parts) writer.text(part);
  return writer.take();
}

GatheredMessage decodeGathered(std::string_view bytes) {
  WireReader reader(bytes);
  GatheredMessage message;
  message.number = reader.number<std::uint64_t>();
  const std::uint32_t nparts = reader.count(sizeof(std::uint32_t));
  for (std::uint32_t i = 0; i < nparts; ++i) message.parts.push_back(reader.text());
  reader.finish();
  return message;
}

std::string encode(const MissingMessage& message) {
  WireWriter writer;
  writer.number(message.exchange).number(static_cast<std::uint32_t>(message.ranks.size()));
  for (const Rank rank : message.ranks) writer.number(rank);
  return writer.take();
}

MissingMessage decodeMissing(std::string_view bytes) {
  WireReader reader(bytes);
  MissingMessage message;
  message.exchange = reader.number<std::uint64_t>();
  const std::uint32_t nranks = reader.count(sizeof(Rank));
  for (std::uint32_t i = 0; i < nranks; ++i) message.ranks.push_back(reader.number<Rank>());
  reader.finish();
  return message;
}

std::string encodeNumber(std::uint64_t number) { return WireWriter().number(number).take(); }

std::uint64_t decodeNumber(std::string_view bytes) {
  WireReader reader(bytes);
  const auto number = reader.number<std::uint64_t>();
  reader.finish();
  return number;
}

}  // namespace signccl
