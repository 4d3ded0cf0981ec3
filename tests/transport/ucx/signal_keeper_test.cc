// SPDX-License-Identifier: Apache-2.0
// Loading UCX and making contexts leaves the signals of the program alone. Each test has a process of its own.
#include "transport/ucx/signal_keeper.h"

#include <csignal>
#include <cstdlib>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "support/sanitizers.h"
#include "transport/ucx/ucx_context.h"

namespace signccl {
namespace {

/// Sanitizers handle the others themselves.
const std::vector<int> kSignals =
    kSanitized ? std::vector<int>{SIGHUP} : std::vector<int>{SIGHUP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

class SignalKeeperTest : public testing::TestWithParam<int> {
 protected:
  SignalKeeperTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

void handle(int signal) { _exit(signal); }

/// Makes a context, and with it all that UCX does with signals.
void useUcx() { UcxContext::open(""); }

TEST_P(SignalKeeperTest, SignalThatNobodyHandlesEndsTheProcess) {
  EXPECT_EXIT(
      {
        useUcx();
        struct sigaction action{};
        sigaction(GetParam(), nullptr, &action);
        if (action.sa_handler == SIG_DFL) raise(GetParam());
        exit(0);  // NOLINT(concurrency-mt-unsafe)
      },
      testing::KilledBySignal(GetParam()), "");
}

TEST_P(SignalKeeperTest, HandlerOfTheProgramIsKept) {
  EXPECT_EXIT(
      {
        signal(GetParam(), handle);
        useUcx();
        raise(GetParam());
        exit(0);  // NOLINT(concurrency-mt-unsafe)
      },
      testing::ExitedWithCode(GetParam()), "");
}

INSTANTIATE_TEST_SUITE_P(Signals, SignalKeeperTest, testing::ValuesIn(kSignals));

using SignalKeeperOfUserTest = SignalKeeperTest;

TEST_F(SignalKeeperOfUserTest, UcxHandlesSignalsIfTheUserSaysSo) {
  if (kSanitized) GTEST_SKIP() << "sanitizers handle the signal";
  EXPECT_EXIT(
      {
        setenv("UCX_ERROR_SIGNALS", "SIGSEGV,SIGBUS", 1);
        struct sigaction before{};
        sigaction(SIGSEGV, nullptr, &before);
        useUcx();
        struct sigaction now{};
        sigaction(SIGSEGV, nullptr, &now);
        exit(now.sa_handler != before.sa_handler ? 3 : 0);  // NOLINT(concurrency-mt-unsafe)
      },
      testing::ExitedWithCode(3), "");
}

TEST_F(SignalKeeperOfUserTest, HandlerSetByTheProgramMeanwhileIsKept) {
  EXPECT_EXIT(
      {
        {
          const SignalKeeper keeper;
          signal(SIGHUP, handle);
        }
        raise(SIGHUP);
        exit(0);  // NOLINT(concurrency-mt-unsafe)
      },
      testing::ExitedWithCode(SIGHUP), "");
}

}  // namespace
}  // namespace signccl
