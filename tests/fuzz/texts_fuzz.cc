// SPDX-License-Identifier: Apache-2.0
// What users and other jobs give as texts: the unique id, SIGNCCL_COMM_ID, SIGNCCL_SOCKET_IFNAME, and config files. The
// first byte says which, the rest is the text.
#include <algorithm>
#include <cstring>
#include <unistd.h>

#include <sys/mman.h>

#include "base/error.h"
#include "base/settings.h"
#include "control/example_messages.h"
#include "control/meeting_address.h"
#include "control/network_interface.h"
#include "control/unique_id.h"
#include "fuzz/fuzz.h"

namespace signccl {
namespace {

void tryUniqueId(std::string_view text) {
  signcclUniqueId id{};
  std::copy_n(text.begin(), std::min(text.size(), sizeof id.internal), id.internal);
  const MeetingPoint point = fromUniqueId(id);
  mustHold(std::ranges::equal(toUniqueId(point).internal, id.internal), "an id comes back with its bytes");
}

void tryAddress(std::string_view text) {
  const HostAndPort parsed = parseAddress("SIGNCCL_COMM_ID", text);
  mustHold(!parsed.host.empty() && parsed.port != 0, "an address has a host and a port");
}

void tryFilter(std::string_view text) {
  static const std::vector<NetworkInterface> all = [] {
    std::vector<NetworkInterface> made;
    for (const char* const name : {"lo", "eth0", "eth1", "eth10", "ib0", "docker0"}) {
      made.push_back({name, asio::ip::make_address("10.0.0.1"), 0});
    }
    return made;
  }();
  const std::vector<NetworkInterface> chosen = chooseInterfaces(all, std::string(text));
  mustHold(!chosen.empty() && chosen.size() <= all.size(), "a filter chooses some of the interfaces");
}

void tryConfigFile(std::string_view text) {
  static const int file = [] {
    clearenv();
    return memfd_create("signccl.conf", MFD_CLOEXEC);
  }();
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  mustHold(file >= 0 && ftruncate(file, 0) == 0, "there is a file");
  mustHold(pwrite(file, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()), "the file is written");
  const Settings settings = Settings::load(path);
  constexpr std::string_view kAllowed[] = {"zero", "random"};
  for (const Settings::Entry& entry : settings.entries()) {
    const auto value = settings.text(entry.name);
    mustHold(value.value_or("") == entry.value, "a setting has one value");
    try {
      const std::int64_t number = settings.integer(entry.name, 5, 1, 100);
      mustHold(number >= 1 && number <= 100, "an integer is in its range");
      const std::string choice = settings.choice(entry.name, kAllowed, "zero");
      mustHold(choice == "zero" || choice == "random", "a choice is one of those allowed");
    } catch (const Error& error) {
      mustHold(error.code() == signcclInvalidUsage, "a bad value is the fault of the user");
    }
  }
}

std::string seed(char kind, const std::string& text) { return kind + text; }

std::string seedId(const char* address) {
  const signcclUniqueId id = toUniqueId({{asio::ip::make_address(address), 4711}, kExampleSecret});
  return seed('i', {id.internal, sizeof id.internal});
}

}  // namespace

std::vector<std::string> fuzzSeeds() {
  return {seedId("10.20.30.40"),
          seedId("2001:db8::1"),
          seed('a', "node-3:4711"),
          seed('a', "[2001:db8::1]:65535"),
          seed('f', "eth0,ib"),
          seed('f', "=eth1,lo"),
          seed('f', "^=docker0,eth"),
          seed('c', "# settings\n\nSIGNCCL_DEBUG = INFO\nSIGNCCL_ALGO=ring\nSIGNCCL_SLICE_BYTES=0x40\n"),
          seed('c', "SIGNCCL_SOCKET_IFNAME=\nSIGNCCL_HOSTID=a=b\r\n")};
}

}  // namespace signccl

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace signccl;
  if (size == 0) return 0;
  const std::string_view text = asText(data + 1, size - 1);
  try {
    switch (data[0]) {
      case 'i':
        tryUniqueId(text);
        break;
      case 'a':
        tryAddress(text);
        break;
      case 'f':
        tryFilter(text);
        break;
      case 'c':
        tryConfigFile(text);
        break;
      default:
        break;
    }
  } catch (const Error& error) {
    mustHold(error.code() == signcclInvalidUsage || error.code() == signcclInvalidArgument,
             "a malformed text is the fault of the user");
  }
  return 0;
}
