// SPDX-License-Identifier: Apache-2.0
#include "launch/pmi_store.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <exception>
#include <limits>
#include <poll.h>
#include <string_view>
#include <unistd.h>

#include <sys/socket.h>

#include "launch/error.h"

namespace signccl::launch {
namespace {

constexpr const char* kKey = "signccl-launch-meeting";
/// No answer of a launcher is longer.
constexpr std::size_t kLongestLine = 8192;

using Clock = std::chrono::steady_clock;

int descriptorOf(const std::string& text) {
  int descriptor = -1;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, descriptor);
  if (error == std::errc() && stop == end && descriptor >= 0) return descriptor;
  throw LaunchError("PMI_FD is '" + text + "', expected the number of a descriptor");
}

/// The value of `name` in a line such as "cmd=put_result rc=0 msg=success"; empty if there is none.
std::string valueOf(std::string_view line, std::string_view name) {
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view field = line.substr(0, end);
    if (field.size() > name.size() && field.starts_with(name) && field[name.size()] == '=') {
      return std::string(field.substr(name.size() + 1));
    }
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return {};
}

/// From "init" to "finalize": a launcher takes a process that ends in between for one that crashed.
class Session {
 public:
  Session(int descriptor, Clock::time_point deadline) : descriptor_(descriptor), deadline_(deadline) {
    ask("cmd=init pmi_version=1 pmi_subversion=1", "response_to_init");
  }
  ~Session() {
    try {
      ask("cmd=finalize", "finalize_ack");
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): what was asked for is there, or thrown
    }
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// The launcher's answer, which is of this kind and reports no error.
  std::string ask(const std::string& request, const std::string& kind) {
    send(request + "\n");
    std::string answer = receive(request);
    const std::string code = valueOf(answer, "rc");
    if (valueOf(answer, "cmd") != kind || (!code.empty() && code != "0")) {
      throw LaunchError("the launcher answered '" + answer + "' to '" + request + "', expected cmd=" + kind +
                        " of PMI 1 and no error");
    }
    return answer;
  }

 private:
  void send(std::string_view text) const {
    while (!text.empty()) {
      // Without the signal that would end the program where the launcher is gone.
      const ssize_t sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) throw LaunchError(std::string("cannot write to the launcher by PMI_FD: ") + std::strerror(errno));
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  /// A line, without its end. The launcher sends nothing that was not asked for, so nothing follows it.
  [[nodiscard]] std::string receive(const std::string& request) const {
    std::string line;
    while (line.empty() || line.back() != '\n') {
      awaitByte(request);
      char bytes[1024];
      const ssize_t received = read(descriptor_, bytes, sizeof bytes);
      if (received < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (received < 0)
        throw LaunchError(std::string("cannot read from the launcher by PMI_FD: ") + std::strerror(errno));
      if (received == 0 || line.size() > kLongestLine) {
        throw LaunchError("the launcher ended the connection of PMI_FD instead of answering '" + request + "'");
      }
      line.append(bytes, static_cast<std::size_t>(received));
    }
    line.pop_back();
    return line;
  }

  void awaitByte(const std::string& request) const {
    pollfd readable{descriptor_, POLLIN, 0};
    int ready = 0;
    do {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
      ready = poll(&readable, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max())));
    } while (ready < 0 && errno == EINTR);
    if (ready > 0) return;
    throw LaunchError("the launcher has not answered '" + request +
                      "' in time, which it does once all processes of the job have come that far");
  }

  const int descriptor_;
  const Clock::time_point deadline_;
};

}  // namespace

std::string pmiShare(const std::string& descriptor, int process, const std::string& value,
                     std::chrono::milliseconds timeout) {
  Session session(descriptorOf(descriptor), Clock::now() + timeout);
  const std::string space = valueOf(session.ask("cmd=get_my_kvsname", "my_kvsname"), "kvsname");
  const std::string place = "kvsname=" + space + " key=" + kKey;
  if (process == 0) session.ask("cmd=put " + place + " value=" + value, "put_result");
  session.ask("cmd=barrier_in", "barrier_out");
  if (process == 0) return value;
  return valueOf(session.ask("cmd=get " + place, "get_result"), "value");
}

}  // namespace signccl::launch
