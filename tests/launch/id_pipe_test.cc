// SPDX-License-Identifier: Apache-2.0
#include "launch/id_pipe.h"

#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <unistd.h>

#include <gtest/gtest.h>

#include "launch/local_processes.h"
#include "refusal.h"

namespace signccl::launch {
namespace {

signcclUniqueId exampleId() {
  signcclUniqueId id{};
  for (std::size_t i = 0; i < sizeof id.internal; ++i) id.internal[i] = static_cast<char>(i * 7);
  return id;
}

/// Forks processes that exit with body(pipe, number); 0 if each gives 0.
int runChildren(int nprocesses, const std::function<int(IdPipe& pipe, int number)>& body) {
  auto pipe = std::make_unique<IdPipe>();
  LocalProcesses processes(nprocesses);
  if (processes.child()) _exit(body(*pipe, *processes.child()));
  pipe.reset();
  return processes.wait(std::chrono::seconds(10), [](const std::string&) {});
}

TEST(IdPipeTest, EveryReaderGetsTheWholeId) {
  constexpr int kProcesses = 40;  // more than the pipe holds at once
  const int status = runChildren(kProcesses, [](IdPipe& pipe, int number) {
    if (number == 0) {
      pipe.give(exampleId(), kProcesses - 1);
      return 0;
    }
    const signcclUniqueId expected = exampleId();
    const signcclUniqueId taken = pipe.take();
    return std::memcmp(&taken, &expected, sizeof taken) == 0 ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

TEST(IdPipeTest, AGiverThatEndsWithoutGivingIsAnErrorOfTheOthers) {
  const int status = runChildren(3, [](IdPipe& pipe, int number) {
    if (number == 0) return 0;
    return refusalOf([&] { pipe.take(); }) == "process 0 ended before it gave the unique id to the others" ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

TEST(IdPipeTest, ReadersThatEndedDoNotEndTheGiver) {
  const int status = runChildren(2, [](IdPipe& pipe, int number) {
    if (number == 0) {
      usleep(100'000);
      pipe.give(exampleId(), 1);
    }
    return 0;
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace signccl::launch
