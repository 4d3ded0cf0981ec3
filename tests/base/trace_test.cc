// SPDX-License-Identifier: Apache-2.0
#include "base/trace.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <sys/wait.h>

#include "environment.h"

namespace signccl {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class TraceTest : public EnvironmentTest {
 protected:
  /// The events of the file: those of phase "X", or the metadata of phase "M" named `name`.
  [[nodiscard]] std::vector<Json> events(const std::string& phase, const std::string& name = "") const {
    std::vector<Json> found;
    const Json file = Json::parse(read("trace"));
    for (const Json& event : file.at("traceEvents")) {
      if (event.at("ph") == phase && (name.empty() || event.at("name") == name)) found.push_back(event);
    }
    return found;
  }
};

TraceEvent event(TraceKind kind, std::int64_t begin_ns, std::int64_t end_ns) {
  return {.kind = kind, .begin_ns = begin_ns, .end_ns = end_ns};
}

TEST_F(TraceTest, UnsetGivesNoWriter) { EXPECT_EQ(TraceWriter::open(load()), nullptr); }

TEST_F(TraceTest, SameFileGivesTheSameWriter) {
  set("SIGNCCL_TRACE", path("trace.%p"));
  TraceWriter* const first = TraceWriter::open(load());
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->file(), path("trace." + std::to_string(getpid())));
  EXPECT_EQ(TraceWriter::open(load()), first);
  set("SIGNCCL_TRACE", path("other"));
  EXPECT_NE(TraceWriter::open(load()), first);
}

TEST_F(TraceTest, FileThatCannotBeWrittenIsAnErrorWithFileAndReason) {
  set("SIGNCCL_TRACE", path("absent/trace"));
  EXPECT_THAT(usageErrorOf([&] { TraceWriter::open(load()); }),
              AllOf(HasSubstr("SIGNCCL_TRACE=" + path("absent/trace")), HasSubstr("No such file")));
}

TEST_F(TraceTest, FileWithoutEventsIsValid) {
  const TraceWriter writer(path("trace"));
  EXPECT_TRUE(events("X").empty());
}

TEST_F(TraceTest, TimesOfTheSystemsClockCanBeTold) {
  const auto system_ns = [] {
    return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  };
  const auto earliest = system_ns();
  TraceWriter writer(path("trace"));
  const std::int64_t begin_ns = nowNs();
  const auto latest = system_ns();
  writer.addRank(0, "")->add(event(TraceKind::kSend, begin_ns, begin_ns));
  const auto base_ns = Json::parse(read("trace")).at("baseTimeNanoseconds").get<std::int64_t>();
  constexpr std::int64_t kAdjustment = 1'000'000'000;  // that the system's clock may get meanwhile
  EXPECT_GE(base_ns + begin_ns, earliest - kAdjustment);
  EXPECT_LE(base_ns + begin_ns, latest + kAdjustment);
}

TEST_F(TraceTest, EventHasNameTimesInMicrosecondsAndArguments) {
  TraceWriter writer(path("trace"));
  writer.addRank(2, "training")
      ->add({.kind = TraceKind::kSend,
             .slice = 5,
             .chunk = 7,
             .peer = 3,
             .begin_ns = 1'000'000'001'500,
             .end_ns = 1'000'000'004'000,
             .bytes = 4096});
  ASSERT_EQ(events("X").size(), 1U);
  const Json sent = events("X").front();
  EXPECT_EQ(sent.at("name"), "send");
  EXPECT_DOUBLE_EQ(sent.at("ts").get<double>(), 1'000'000'001.5);
  EXPECT_DOUBLE_EQ(sent.at("dur").get<double>(), 2.5);
  EXPECT_EQ(sent.at("args"), Json::parse(R"({"slice": 5, "chunk": 7, "peer": 3, "bytes": 4096})"));
}

TEST_F(TraceTest, EventWithoutPeerHasNoPeer) {
  TraceWriter writer(path("trace"));
  writer.addRank(0, "")->add(event(TraceKind::kEncode, 0, 1));
  EXPECT_FALSE(events("X").at(0).at("args").contains("peer"));
}

TEST_F(TraceTest, EveryKindHasItsNameAndThreadRow) {
  TraceWriter writer(path("trace"));
  {
    const auto buffer = writer.addRank(0, "");
    for (std::size_t kind = 0; kind < kTraceKinds; ++kind) buffer->add(event(static_cast<TraceKind>(kind), 0, 10));
  }
  std::map<int, std::string> thread_names;
  for (const Json& note : events("M", "thread_name")) thread_names[note.at("tid")] = note.at("args").at("name");
  std::set<std::string> names;
  for (const Json& shown : events("X")) {
    EXPECT_EQ(thread_names.at(shown.at("tid")), shown.at("name").get<std::string>());
    names.insert(shown.at("name"));
  }
  EXPECT_EQ(names, (std::set<std::string>{"encode", "send", "receive", "count", "decide", "decode"}));
}

TEST_F(TraceTest, EveryRankOfEveryCommunicatorHasAProcessRow) {
  TraceWriter writer(path("trace"));
  {
    const auto first = writer.addRank(0, "one");
    const auto second = writer.addRank(1, "one");
    const auto other = writer.addRank(0, "");
    for (const auto* buffer : {&first, &second, &other}) (*buffer)->add(event(TraceKind::kEncode, 0, 1));
  }
  std::map<int, std::string> names;
  for (const Json& note : events("M", "process_name")) names[note.at("pid")] = note.at("args").at("name");
  std::set<std::string> shown;
  for (const Json& encode : events("X")) shown.insert(names.at(encode.at("pid")));
  EXPECT_EQ(shown, (std::set<std::string>{"rank 0 of one", "rank 1 of one", "rank 0"}));
}

TEST_F(TraceTest, NameThatIsNotUtf8IsShownWithReplacementCharacters) {
  TraceWriter writer(path("trace"));
  writer.addRank(0, "caf\xe9")->add(event(TraceKind::kEncode, 0, 1));
  EXPECT_EQ(events("M", "process_name").at(0).at("args").at("name"), "rank 0 of caf\xef\xbf\xbd");
  EXPECT_EQ(events("X").size(), 1U);
}

TEST_F(TraceTest, ProcessRowsAreSortedByRankInWhateverOrderTheRanksJoin) {
  TraceWriter writer(path("trace"));
  for (const Rank rank : {2, 0, 11, 1}) writer.addRank(rank, "");
  std::map<int, std::string> names;
  for (const Json& note : events("M", "process_name")) names[note.at("pid")] = note.at("args").at("name");
  std::map<int, std::string> sorted;
  for (const Json& note : events("M", "process_sort_index")) {
    sorted[note.at("args").at("sort_index")] = names.at(note.at("pid"));
  }
  EXPECT_EQ(sorted, (std::map<int, std::string>{{0, "rank 0"}, {1, "rank 1"}, {2, "rank 2"}, {11, "rank 11"}}));
}

TEST_F(TraceTest, ThreadRowsAreSortedByKindInWhateverOrderTheEventsCome) {
  TraceWriter writer(path("trace"));
  {
    const auto buffer = writer.addRank(0, "");
    buffer->add(event(TraceKind::kDecode, 0, 10));
    buffer->add(event(TraceKind::kEncode, 20, 40));
    buffer->add(event(TraceKind::kCount, 30, 50));
    buffer->add(event(TraceKind::kEncode, 35, 50));
  }
  std::map<int, std::string> names;
  for (const Json& note : events("M", "thread_name")) names[note.at("tid")] = note.at("args").at("name");
  std::map<int, std::string> sorted;
  for (const Json& note : events("M", "thread_sort_index")) {
    sorted[note.at("args").at("sort_index")] = names.at(note.at("tid"));
  }
  std::vector<std::string> rows;
  for (const auto& [index, name] : sorted) rows.push_back(name);
  EXPECT_EQ(rows, (std::vector<std::string>{"encode", "encode", "count", "decode"}));
}

TEST_F(TraceTest, EventsThatOverlapAreOnDifferentThreadRows) {
  TraceWriter writer(path("trace"));
  {
    const auto buffer = writer.addRank(0, "");
    // Added in the order of their ends, as an executor does.
    buffer->add(event(TraceKind::kSend, 100, 200));
    buffer->add(event(TraceKind::kSend, 150, 250));
    buffer->add(event(TraceKind::kSend, 200, 300));
    buffer->add(event(TraceKind::kSend, 50, 400));
    writer.flush();
    buffer->add(event(TraceKind::kSend, 260, 500));
  }
  std::map<int, std::vector<std::pair<double, double>>> rows;
  for (const Json& sent : events("X")) {
    const double begin = sent.at("ts").get<double>();
    rows[sent.at("tid")].emplace_back(begin, begin + sent.at("dur").get<double>());
  }
  EXPECT_EQ(rows.size(), 3U);
  for (const auto& [tid, spans] : rows) {
    for (std::size_t i = 1; i < spans.size(); ++i) EXPECT_LE(spans[i - 1].second, spans[i].first) << "row " << tid;
  }
}

TEST_F(TraceTest, FileIsValidAfterEachRank) {
  TraceWriter writer(path("trace"));
  for (std::size_t rank = 0; rank < 3; ++rank) {
    writer.addRank(static_cast<Rank>(rank), "")->add(event(TraceKind::kCount, 0, 1));
    EXPECT_EQ(events("X").size(), rank + 1);
  }
}

TEST_F(TraceTest, FullBufferGoesToTheFile) {
  constexpr std::size_t kMany = 40'000;
  TraceWriter writer(path("trace"));
  const auto buffer = writer.addRank(0, "");
  for (std::size_t i = 0; i < kMany; ++i) {
    buffer->add(event(TraceKind::kDecide, static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1));
  }
  const std::size_t before_flush = events("X").size();
  EXPECT_GT(before_flush, 0U);
  EXPECT_LT(before_flush, kMany);
  writer.flush();
  EXPECT_EQ(events("X").size(), kMany);
}

TEST_F(TraceTest, RanksOfManyThreadsAddAtOnce) {
  constexpr int kRanks = 4;
  constexpr int kEvents = 500;
  TraceWriter writer(path("trace"));
  std::vector<std::thread> threads;
  for (Rank rank = 0; rank < kRanks; ++rank) {
    threads.emplace_back([&writer, rank] {
      const auto buffer = writer.addRank(rank, "");
      for (int i = 0; i < kEvents; ++i) {
        buffer->add(event(TraceKind::kSend, i, i + 10));
        if (i % 100 == 0) writer.flush();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(events("X").size(), static_cast<std::size_t>(kRanks * kEvents));
}

TEST_F(TraceTest, ProcessWritesAtItsEndWhatIsStillBuffered) {
  set("SIGNCCL_TRACE", path("trace"));
  const auto leave_rank_open = [this] {
    TraceBuffer* const leaked = TraceWriter::open(load())->addRank(0, "").release();
    leaked->add(event(TraceKind::kEncode, 0, 1));
    std::exit(0);
  };
  EXPECT_EXIT(leave_rank_open(), testing::ExitedWithCode(0), "");
  EXPECT_EQ(events("X").size(), 1U);
}

TEST_F(TraceTest, ForkedChildLeavesTheFileOfItsParentAlone) {
  TraceWriter writer(path("trace"));
  const auto buffer = writer.addRank(0, "");
  buffer->add(event(TraceKind::kEncode, 0, 1));
  const pid_t child = fork();
  if (child == 0) {
    writer.flush();
    _exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(events("X").empty());
  writer.flush();
  EXPECT_EQ(events("X").size(), 1U);
}

TEST_F(TraceTest, ForkedChildIsTracedIntoAFileOfItsOwn) {
  set("SIGNCCL_TRACE", path("trace"));
  TraceWriter* const parents = TraceWriter::open(load());
  ASSERT_NE(parents, nullptr);
  const pid_t child = fork();
  if (child == 0) {
    TraceWriter* const own = TraceWriter::open(load());
    own->addRank(0, "")->add(event(TraceKind::kEncode, 0, 1));
    std::rename(own->file().c_str(), path("of_child").c_str());
    _exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(parents->file(), path("trace"));
  EXPECT_TRUE(events("X").empty());
  EXPECT_THAT(read("of_child"), HasSubstr("encode"));
}

TEST_F(TraceTest, RankIsTheProcessIdAndThatOfAnotherCommunicatorIsADifferentOne) {
  TraceWriter writer(path("trace"));
  for (const Rank rank : {3, 1, 3, 3}) writer.addRank(rank, "");
  std::vector<int> ids;
  for (const Json& note : events("M", "process_name")) ids.push_back(note.at("pid"));
  EXPECT_THAT(ids, testing::ElementsAre(3, 1, 32768 + 3, 2 * 32768 + 3));
}

TEST_F(TraceTest, FileIsNamedByRankWhereAnotherProcessWasGivenTheSameName) {
  TraceWriter alone(path("alone"));
  alone.joinOtherProcesses(5);
  EXPECT_EQ(alone.file(), path("alone"));
  TraceWriter first(path("trace"));
  TraceWriter other(path("trace"));
  first.addRank(1, "")->add(event(TraceKind::kEncode, 0, 1));
  first.joinOtherProcesses(1);
  other.joinOtherProcesses(0);
  EXPECT_EQ(first.file(), path("trace.1"));
  EXPECT_EQ(other.file(), path("trace.0"));
  first.addRank(1, "")->add(event(TraceKind::kDecode, 2, 3));
  const Json written = Json::parse(read("trace.1")).at("traceEvents");
  EXPECT_EQ(std::ranges::count(written, "X", [](const Json& one) { return one.at("ph"); }), 2);
}

TEST_F(TraceTest, FullDeviceIsAnErrorWithFileAndReason) {
  EXPECT_THAT(usageErrorOf([] { TraceWriter("/dev/full"); }),
              AllOf(HasSubstr("/dev/full"), HasSubstr("No space left")));
}

TEST_F(TraceTest, FileThatCannotGrowIsAWarningAndLosesEvents) {
  set("SIGNCCL_DEBUG", "WARN");
  testing::internal::CaptureStdout();
  configureLogging(load());
  const auto previous_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{.rlim_cur = 20'000, .rlim_max = before.rlim_max};
  {
    TraceWriter writer(path("trace"));
    const auto buffer = writer.addRank(0, "");
    setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; i < 1000; ++i) buffer->add(event(TraceKind::kEncode, i, i + 1));
    writer.flush();
    setrlimit(RLIMIT_FSIZE, &before);
  }
  std::signal(SIGXFSZ, previous_handler);
  const std::string output = testing::internal::GetCapturedStdout();
  EXPECT_THAT(output, HasSubstr("WARN the trace " + path("trace") + " ends early: File too large"));
  EXPECT_EQ(output.find("ends early"), output.rfind("ends early"));
  unset("SIGNCCL_DEBUG");
  configureLogging(load());
}

}  // namespace
}  // namespace signccl
