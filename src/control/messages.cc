// SPDX-License-Identifier: Apache-2.0
#include "control/messages.h"

#include <algorithm>

#include "control/wire.h"

namespace signccl {
namespace {

constexpr std::uint32_t kHelloMagic = 0x4c434753;  // "SGCL"

void write(WireWriter& writer, const Secret& secret) {
  for (const std::uint8_t byte : secret) writer.number(byte);
}

void readSecret(WireReader& reader, Secret& secret) {
  for (std::uint8_t& byte : secret) byte = reader.number<std::uint8_t>();
}

void write(WireWriter& writer, const RankInfo& info) {
  writer.text(info.host).text(info.machine).text(info.cores).number(info.process).number(info.link_mbit);
  writer.number(info.quota.millicores).number(info.quota.group).text(info.hub_address);
}

RankInfo readRankInfo(WireReader& reader) {
  RankInfo info;
  info.host = reader.text();
  info.machine = reader.text();
  info.cores = reader.text();
  info.process = reader.number<std::uint64_t>();
  info.link_mbit = reader.number<std::uint32_t>();
  info.quota.millicores = reader.number<std::uint32_t>();
  info.quota.group = reader.number<std::uint64_t>();
  info.hub_address = reader.text();
  return info;
}

void write(WireWriter& writer, const GatheringId& id) { writer.enumerator(id.purpose).number(id.number); }

GatheringId readGatheringId(WireReader& reader) {
  GatheringId id;
  id.purpose = reader.enumerator(kLastGathering);
  id.number = reader.number<std::uint64_t>();
  return id;
}

void write(WireWriter& writer, const std::vector<Rank>& ranks) {
  writer.number(static_cast<std::uint32_t>(ranks.size()));
  for (const Rank rank : ranks) writer.number(rank);
}

std::vector<Rank> readRanks(WireReader& reader) {
  const std::uint32_t nranks = reader.count(sizeof(Rank));
  std::vector<Rank> ranks;
  for (std::uint32_t i = 0; i < nranks; ++i) ranks.push_back(reader.number<Rank>());
  return ranks;
}

}  // namespace

std::string encode(const HelloMessage& message) {
  WireWriter writer;
  writer.number(kHelloMagic).number(message.wire_version);
  write(writer, message.secret);
  writer.number(message.rank).number(message.nranks).text(message.version);
  write(writer, message.info);
  write(writer, message.settings);
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
  message.settings = readSharedSettings(reader);
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
  writer.enumerator(message.code).text(message.message).enumerator(message.scope);
  write(writer, message.gone);
  return writer.take();
}

Failure decodeFailure(std::string_view bytes) {
  WireReader reader(bytes);
  Failure message;
  message.code = reader.enumerator(signcclTimeout);
  if (message.code == signcclSuccess) WireReader::fail("a failure says that all is well");
  message.message = reader.text();
  message.scope = reader.enumerator(Failure::Scope::kGroup);
  message.gone = readRanks(reader);
  reader.finish();
  return message;
}

std::string encode(const AnnounceMessage& message) {
  return WireWriter().number(message.exchange).text(message.signature).take();
}

AnnounceMessage decodeAnnounce(std::string_view bytes) {
  WireReader reader(bytes);
  AnnounceMessage message;
  message.exchange = reader.number<std::uint64_t>();
  message.signature = reader.text();
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
  WireWriter writer;
  write(writer, message.id);
  return writer.text(message.part).take();
}

GatherMessage decodeGather(std::string_view bytes) {
  WireReader reader(bytes);
  GatherMessage message;
  message.id = readGatheringId(reader);
  message.part = reader.text();
  reader.finish();
  return message;
}

std::string encode(const GatheredMessage& message) {
  WireWriter writer;
  write(writer, message.id);
  writer.number(static_cast<std::uint32_t>(message.parts.size()));
  for (const std::string& part : message.parts) writer.text(part);
  return writer.take();
}

GatheredMessage decodeGathered(std::string_view bytes) {
  WireReader reader(bytes);
  GatheredMessage message;
  message.id = readGatheringId(reader);
  const std::uint32_t nparts = reader.count(sizeof(std::uint32_t));
  for (std::uint32_t i = 0; i < nparts; ++i) message.parts.push_back(reader.text());
  reader.finish();
  return message;
}

std::string encode(const MissingMessage& message) {
  WireWriter writer;
  writer.number(message.exchange);
  write(writer, message.ranks);
  return writer.take();
}

MissingMessage decodeMissing(std::string_view bytes) {
  WireReader reader(bytes);
  MissingMessage message;
  message.exchange = reader.number<std::uint64_t>();
  message.ranks = readRanks(reader);
  reader.finish();
  return message;
}

std::string encode(const GatheringId& message) {
  WireWriter writer;
  write(writer, message);
  return writer.take();
}

GatheringId decodeGatheringId(std::string_view bytes) {
  WireReader reader(bytes);
  const GatheringId id = readGatheringId(reader);
  reader.finish();
  return id;
}

std::string encodeNumber(std::uint64_t number) { return WireWriter().number(number).take(); }

std::uint64_t decodeNumber(std::string_view bytes) {
  WireReader reader(bytes);
  const auto number = reader.number<std::uint64_t>();
  reader.finish();
  return number;
}

bool areRanks(const std::vector<Rank>& ranks, int nranks) {
  return std::ranges::all_of(ranks, [&](Rank rank) { return rank >= 0 && rank < nranks; });
}

}  // namespace signccl
