// SPDX-License-Identifier: Apache-2.0
// The key-value space of PMI against a launcher that this test plays: a thread for each process, which answers as
// MPICH's Hydra does.
#include "launch/pmi_store.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "refusal.h"

namespace signccl::launch {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::chrono::seconds kAmple{60};

/// The launcher's end of one process's PMI_FD.
class Launcher {
 public:
  /// Gives the answer to a request, without ends of lines; an empty one ends the connection.
  using Answer = std::function<std::string(const std::string& request)>;

  explicit Launcher(Answer answer) : answer_(std::move(answer)) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends_) != 0) throw std::runtime_error("no sockets");
    thread_ = std::thread([this] { serve(); });
  }
  ~Launcher() {
    shutdown(ends_[0], SHUT_RDWR);
    thread_.join();
    close(ends_[0]);
    close(ends_[1]);
  }
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  [[nodiscard]] std::string descriptor() const { return std::to_string(ends_[1]); }
  [[nodiscard]] std::vector<std::string> requests() {
    shutdown(ends_[0], SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    thread_ = std::thread([] {});
    return requests_;
  }

 private:
  void serve() {
    std::string line;
    for (char byte = 0; read(ends_[0], &byte, 1) == 1;) {
      if (byte != '\n') {
        line.push_back(byte);
        continue;
      }
      requests_.push_back(line);
      std::string answer = answer_(line);
      line.clear();
      if (answer.empty()) {
        shutdown(ends_[0], SHUT_RDWR);
        return;
      }
      answer.push_back('\n');
      // In two parts, as streams may bring it.
      const std::size_t half = answer.size() / 2;
      if (send(ends_[0], answer.data(), half, MSG_NOSIGNAL) < 0) return;
      if (send(ends_[0], answer.data() + half, answer.size() - half, MSG_NOSIGNAL) < 0) return;
    }
  }

  const Answer answer_;
  int ends_[2] = {};
  std::vector<std::string> requests_;
  std::thread thread_;
};

/// What Hydra says to the requests of a job whose process 0 has put `value`.
std::string answerOfHydra(const std::string& request, const std::string& value) {
  if (request.starts_with("cmd=init")) return "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0";
  if (request == "cmd=get_my_kvsname") return "cmd=my_kvsname kvsname=kvs_17_0";
  if (request.starts_with("cmd=put")) return "cmd=put_result rc=0 msg=success";
  if (request == "cmd=barrier_in") return "cmd=barrier_out";
  if (request.starts_with("cmd=get ")) return "cmd=get_result rc=0 msg=success value=" + value;
  return "cmd=finalize_ack";
}

TEST(PmiStoreTest, ProcessZeroPutsAndOthersGetAfterTheBarrier) {
  Launcher first([](const std::string& request) { return answerOfHydra(request, ""); });
  Launcher other([](const std::string& request) { return answerOfHydra(request, "abc123"); });
  EXPECT_EQ(pmiShare(first.descriptor(), 0, "abc123", kAmple), "abc123");
  EXPECT_EQ(pmiShare(other.descriptor(), 1, "", kAmple), "abc123");
  EXPECT_THAT(first.requests(), ElementsAre("cmd=init pmi_version=1 pmi_subversion=1", "cmd=get_my_kvsname",
                                            "cmd=put kvsname=kvs_17_0 key=signccl-launch-meeting value=abc123",
                                            "cmd=barrier_in", "cmd=finalize"));
  EXPECT_THAT(other.requests(),
              ElementsAre("cmd=init pmi_version=1 pmi_subversion=1", "cmd=get_my_kvsname", "cmd=barrier_in",
                          "cmd=get kvsname=kvs_17_0 key=signccl-launch-meeting", "cmd=finalize"));
}

TEST(PmiStoreTest, DescriptorThatIsNoneIsNamed) {
  EXPECT_EQ(refusalOf([] { pmiShare("x", 0, "", kAmple); }), "PMI_FD is 'x', expected the number of a descriptor");
  EXPECT_EQ(refusalOf([] { pmiShare("-1", 0, "", kAmple); }), "PMI_FD is '-1', expected the number of a descriptor");
  EXPECT_THAT(refusalOf([] { pmiShare("1000000", 0, "", kAmple); }), HasSubstr("by PMI_FD: Bad file descriptor"));
}

TEST(PmiStoreTest, AnswerThatIsAnErrorOrOfAnotherKindIsShown) {
  Launcher refusing([](const std::string& request) {
    return request.starts_with("cmd=put") ? "cmd=put_result rc=-1 msg=no_space" : answerOfHydra(request, "");
  });
  EXPECT_THAT(refusalOf([&] { pmiShare(refusing.descriptor(), 0, "a", kAmple); }),
              AllOf(HasSubstr("'cmd=put_result rc=-1 msg=no_space'"), HasSubstr("expected cmd=put_result")));
  Launcher newer([](const std::string&) { return std::string("24 cmd=fullinit-response;"); });
  EXPECT_THAT(refusalOf([&] { pmiShare(newer.descriptor(), 0, "a", kAmple); }), HasSubstr("of PMI 1"));
}

TEST(PmiStoreTest, LauncherThatEndsTheConnectionIsNamed) {
  Launcher gone([](const std::string& request) {
    return request == "cmd=barrier_in" ? std::string() : answerOfHydra(request, "");
  });
  EXPECT_THAT(refusalOf([&] { pmiShare(gone.descriptor(), 1, "", kAmple); }),
              AllOf(StartsWith("the launcher ended the connection"), HasSubstr("cmd=barrier_in")));
}

TEST(PmiStoreTest, ProcessesThatNeverComeAreNotWaitedForLongerThanTheTimeout) {
  std::atomic<bool> is_over = false;
  Launcher waiting([&](const std::string& request) {
    while (request == "cmd=barrier_in" && !is_over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return answerOfHydra(request, "");
  });
  EXPECT_THAT(refusalOf([&] { pmiShare(waiting.descriptor(), 1, "", std::chrono::milliseconds(50)); }),
              HasSubstr("has not answered 'cmd=barrier_in' in time"));
  is_over = true;
}

}  // namespace
}  // namespace signccl::launch
