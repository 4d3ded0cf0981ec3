// Processes are threads here: an exchange does not care.
#include "launch/exchange.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
#include <unistd.h>
#include <vector>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "refusal.h"

namespace signccl::launch {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

/// Runs body(exchange) as each of the processes. Gives what each of them throws.
class Job {
 public:
  explicit Job(int nprocesses) : nprocesses_(nprocesses) {}

  std::chrono::milliseconds join_timeout = 20s;
  std::chrono::milliseconds timeout = 20s;
  std::vector<int> absent;
  /// Changes what one process believes.
  std::function<void(int process, Party& party)> confuse = [](int, Party&) {};
  /// Called with the port once process 0 listens.
  std::function<void(std::uint16_t)> listening = [](std::uint16_t) {};

  std::vector<std::string> run(const std::function<void(Exchange&)>& body) {
    ListeningSocket socket(Address{"127.0.0.1", 0});
    const Address address{"127.0.0.1", socket.port()};
    listening(address.port);
    std::vector<std::string> errors(static_cast<std::size_t>(nprocesses_));
    std::vector<std::jthread> threads;
    for (int process = 0; process < nprocesses_; ++process) {
      if (std::ranges::find(absent, process) != absent.end()) continue;
      threads.emplace_back([&, process] {
        Party party{{process, nprocesses_, "test"}, "secret", join_timeout, timeout};
        confuse(process, party);
        errors[static_cast<std::size_t>(process)] = refusalOf([&] {
          if (process == 0) {
            Exchange exchange(std::move(socket), party);
            body(exchange);
          } else {
            Exchange exchange(std::vector<Address>{address}, party);
            body(exchange);
          }
        });
      });
    }
    threads.clear();
    return errors;
  }

 private:
  int nprocesses_;
};

int connectTo(std::uint16_t port) {
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return descriptor;
}

TEST(ExchangeTest, AProcessAloneTalksToItself) {
  Exchange alone;
  EXPECT_TRUE(alone.isFirst());
  EXPECT_EQ(alone.nprocesses(), 1);
  EXPECT_EQ(alone.allGather("a"), std::vector<std::string>{"a"});
  EXPECT_EQ(alone.gather("a"), std::vector<std::string>{"a"});
  EXPECT_EQ(alone.broadcast("a"), "a");
  alone.barrier();
}

TEST(ExchangeTest, EveryProcessGetsThePartsOfAllInOrder) {
  for (const int nprocesses : {2, 3, 7}) {
    const auto errors = Job(nprocesses).run([&](Exchange& exchange) {
      for (int round = 0; round < 50; ++round) {
        std::vector<std::string> expected;
        for (int process = 0; process < nprocesses; ++process) {
          expected.push_back(std::string(static_cast<std::size_t>(process * 1000), 'x') + std::to_string(round));
        }
        EXPECT_EQ(exchange.allGather(expected[static_cast<std::size_t>(exchange.process())]), expected);
      }
    });
    EXPECT_THAT(errors, Each(""));
  }
}

TEST(ExchangeTest, MegabytesPass) {
  const std::string large(std::size_t{5} << 20, 'l');
  const auto errors = Job(3).run([&](Exchange& exchange) {
    const auto parts = exchange.gather(large);
    EXPECT_EQ(parts.size(), exchange.isFirst() ? 3U : 0U);
    for (const std::string& part : parts) EXPECT_EQ(part, large);
    EXPECT_EQ(exchange.broadcast(exchange.isFirst() ? large : "ignored"), large);
  });
  EXPECT_THAT(errors, Each(""));
}

TEST(ExchangeTest, AProcessThatNeverComesIsNamedAtTheDeadline) {
  Job job(4);
  job.join_timeout = 300ms;
  job.absent = {2};
  const auto start = steady_clock::now();
  const auto errors = job.run([](Exchange& exchange) { exchange.barrier(); });
  EXPECT_LT(steady_clock::now() - start, 10s);
  for (const int process : {0, 1, 3}) {
    EXPECT_THAT(errors[static_cast<std::size_t>(process)], AllOf(HasSubstr("process 2"), HasSubstr("0.300 s")));
  }
}

TEST(ExchangeTest, AFirstProcessThatNeverComesIsNamedAtTheDeadline) {
  Job job(2);
  job.join_timeout = 300ms;
  job.absent = {0};
  EXPECT_THAT(job.run([](Exchange&) {})[1],
              AllOf(HasSubstr("process 1 has not reached process 0"), HasSubstr("0.300 s")));
}

TEST(ExchangeTest, AProcessThatIsSilentIsNamedAtTheDeadline) {
  Job job(3);
  job.timeout = 200ms;
  const auto errors = job.run([](Exchange& exchange) {
    if (exchange.process() == 1) std::this_thread::sleep_for(600ms);
    exchange.barrier();
  });
  EXPECT_THAT(errors[0], HasSubstr("process 0 waited in vain for process 1"));
  EXPECT_EQ(errors[2], errors[0]);
  EXPECT_NE(errors[1], "");
}

TEST(ExchangeTest, AProcessThatLeavesIsNamedToAll) {
  const auto start = steady_clock::now();
  const auto errors = Job(4).run([](Exchange& exchange) {
    exchange.barrier();
    if (exchange.process() != 2) exchange.barrier();
  });
  EXPECT_LT(steady_clock::now() - start, 5s);
  for (const int process : {0, 1, 3})
    EXPECT_THAT(errors[static_cast<std::size_t>(process)], HasSubstr("process 2 is gone"));
}

TEST(ExchangeTest, WhenTheFirstProcessLeavesTheOthersAreTold) {
  const auto errors = Job(3).run([](Exchange& exchange) {
    if (!exchange.isFirst()) exchange.barrier();
  });
  for (const int process : {1, 2})
    EXPECT_THAT(errors[static_cast<std::size_t>(process)], HasSubstr("process 0 is gone"));
}

TEST(ExchangeTest, AnAbortTellsItsReasonToAll) {
  for (const int culprit : {0, 2}) {
    const auto errors = Job(3).run([&](Exchange& exchange) {
      if (exchange.process() == culprit) return exchange.abort("out of paper");
      exchange.barrier();
    });
    for (const int process : {0, 1, 2}) {
      if (process == culprit) continue;
      EXPECT_EQ(errors[static_cast<std::size_t>(process)],
                "process " + std::to_string(culprit) + " failed: out of paper");
    }
  }
}

TEST(ExchangeTest, NothingWorksAfterAFailure) {
  Job(2).run([](Exchange& exchange) {
    if (exchange.process() == 1) return;
    const std::string first = refusalOf([&] { exchange.barrier(); });
    EXPECT_NE(first, "");
    EXPECT_EQ(refusalOf([&] { exchange.broadcast("a"); }), first);
    exchange.abort("too late");
  });
}

TEST(ExchangeTest, WhoDoesNotKnowTheSecretIsTurnedAway) {
  Job job(2);
  job.join_timeout = 400ms;
  job.confuse = [](int process, Party& party) {
    if (process == 1) party.secret = "guess";
  };
  const auto errors = job.run([](Exchange&) {});
  EXPECT_THAT(errors[0], HasSubstr("process 1"));
  EXPECT_THAT(errors[1], HasSubstr("SIGNCCL_COMM_SECRET"));
}

TEST(ExchangeTest, AnotherNumberOfProcessesIsNamedToBoth) {
  Job job(2);
  job.confuse = [](int process, Party& party) {
    if (process == 1) party.place.nprocesses = 5;
  };
  for (const std::string& error : job.run([](Exchange&) {})) {
    EXPECT_EQ(error, "process 1 expects 5 processes, process 0 expects 2");
  }
}

TEST(ExchangeTest, ANumberThatIsTakenTwiceIsNamed) {
  Job job(3);
  job.confuse = [](int process, Party& party) {
    if (process == 2) party.place.process = 1;
  };
  EXPECT_EQ(job.run([](Exchange&) {})[0], "two processes call themselves process 1, expected each number once");
}

TEST(ExchangeTest, StrangersHoldNobodyUp) {
  std::vector<int> strangers;
  Job job(2);
  job.listening = [&](std::uint16_t port) {
    for (const std::string& greeting :
         {std::string(), std::string("GET / HTTP/1.1\r\n\r\n"), std::string(5000, '\xff')}) {
      strangers.push_back(connectTo(port));
      EXPECT_EQ(write(strangers.back(), greeting.data(), greeting.size()), static_cast<ssize_t>(greeting.size()));
    }
  };
  EXPECT_THAT(job.run([](Exchange& exchange) { exchange.barrier(); }), Each(""));
  for (const int stranger : strangers) close(stranger);
}

TEST(ListeningSocketTest, APortThatIsTakenIsNamed) {
  const ListeningSocket first(Address{"127.0.0.1", 0});
  const Address taken{"127.0.0.1", first.port()};
  EXPECT_THAT(refusalOf([&] { const ListeningSocket second(taken); }),
              AllOf(HasSubstr(toText(taken)), HasSubstr("expected a free port")));
}

}  // namespace
}  // namespace signccl::launch
