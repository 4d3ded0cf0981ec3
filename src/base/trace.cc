// SPDX-License-Identifier: Apache-2.0
#include "base/trace.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/process_locks.h"
#include "base/process_name.h"

namespace signccl {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, kTraceKinds> kKindNames{"encode", "send", "receive", "count", "decide", "decode"};

/// Events that a rank keeps in memory, about 1.5 MB, before they go to the file.
constexpr std::size_t kBufferedEvents = std::size_t{1} << 15;

/// Thread rows that a kind may have; thread ids of different kinds stay apart.
constexpr int kRowsPerKind = 10000;

/// From the process row of a rank to its row in the next communicator; more than any rank.
constexpr std::int64_t kRowsApart = std::int64_t{1} << 15;

constexpr const char* kArrayEnd = "\n]}\n";

using Writers = std::vector<std::unique_ptr<TraceWriter>>;

/// The writers of the process, guarded by ProcessLock::kTraceWriters. Never destroyed: communicators may outlive the
/// static objects.
Writers& writers() {
  static Writers& writers = *new Writers;
  return writers;
}

void flushAllWriters() {
  const std::lock_guard lock(processMutex(ProcessLock::kTraceWriters));
  for (const std::unique_ptr<TraceWriter>& writer : writers()) writer->flush();
}

/// Names come from users and may hold any bytes: what is not UTF-8 becomes U+FFFD.
std::string toText(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

double microseconds(std::int64_t ns) { return static_cast<double>(ns) / 1000.0; }

/// What the system's clock said when nowNs() was 0. Profilers such as PyTorch's have a clock of their own too, and note
/// this number in the same field, so that their traces can be laid over ours.
std::int64_t systemTimeOfClockZero() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count() - nowNs();
}

/// The first row whose last event ended before `event` begins, a new one if there is none.
std::size_t rowFor(const TraceEvent& event, std::vector<std::int64_t>& ends) {
  const auto free = std::ranges::find_if(ends, [&](std::int64_t end) { return end <= event.begin_ns; });
  const auto row = static_cast<std::size_t>(free - ends.begin());
  if (free == ends.end()) ends.push_back(0);
  ends[row] = event.end_ns;
  return row;
}

Json toJson(const TraceEvent& event, std::int64_t process, int thread) {
  Json args{{"slice", event.slice}, {"chunk", event.chunk}, {"bytes", event.bytes}};
  if (event.peer != kNoRank) args["peer"] = event.peer;
  return {{"ph", "X"},
          {"name", kKindNames.at(static_cast<std::size_t>(event.kind))},
          {"pid", process},
          {"tid", thread},
          {"ts", microseconds(event.begin_ns)},
          {"dur", microseconds(event.end_ns - event.begin_ns)},
          {"args", std::move(args)}};
}

}  // namespace

TraceWriter* TraceWriter::open(const Settings& settings) {
  const std::optional<std::string> pattern = settings.text("SIGNCCL_TRACE");
  if (!pattern) return nullptr;
  const std::string name = expandFileName(*pattern);
  const std::lock_guard lock(processMutex(ProcessLock::kTraceWriters));
  Writers& all = writers();
  const auto known =
      std::ranges::find_if(all, [&](const auto& writer) { return writer->isFor(name) && writer->isOfThisProcess(); });
  if (known != all.end()) return known->get();
  if (all.empty()) std::atexit(flushAllWriters);
  TraceWriter* const writer = all.emplace_back(std::make_unique<TraceWriter>(name)).get();
  log(LogLevel::kInfo, Subsystem::kInit, kNoRank, "trace: ", writer->file());
  return writer;
}

bool TraceWriter::isOfThisProcess() const noexcept { return getpid() == owner_; }

TraceWriter::TraceWriter(std::string file)
    : owner_(getpid()), file_(std::move(file)), stream_(file_.path(), "the trace SIGNCCL_TRACE") {
  pending_ = R"({"displayTimeUnit":"ns","baseTimeNanoseconds":)" + std::to_string(systemTimeOfClockZero()) +
             R"(,"traceEvents":[)";
  try {
    closeArray();
  } catch (const std::system_error& error) {
    throw Error(signcclInvalidUsage, "cannot write the trace SIGNCCL_TRACE=" + file_.path() + ": " + error.what());
  }
}

std::string TraceWriter::file() {
  const std::lock_guard lock(mutex_);
  return file_.path();
}

void TraceWriter::joinOtherProcesses(Rank rank) {
  const std::lock_guard lock(mutex_);
  const std::string before = file_.path();
  file_.nameByRankIfShared(rank);
  if (file_.path() != before) {
    log(LogLevel::kInfo, Subsystem::kInit, rank, "trace: ", file_.path(), ", since other processes have that of ",
        file_.wanted());
  }
}

std::unique_ptr<TraceBuffer> TraceWriter::addRank(Rank rank, std::string_view comm_name) {
  std::string name = "rank " + std::to_string(rank);
  if (!comm_name.empty()) name += " of " + std::string(comm_name);
  // Made before the lock is taken, and so destroyed after it is released if something throws: its end takes the lock.
  std::unique_ptr<TraceBuffer> buffer(new TraceBuffer(*this));
  const std::lock_guard lock(mutex_);
  buffer->process_ = rank + kRowsApart * rows_[rank]++;
  const auto note = [&](const char* what, const Json& args) {
    writeEvent(toText(Json{{"ph", "M"}, {"name", what}, {"pid", buffer->process_}, {"args", args}}));
  };
  note("process_name", {{"name", name}});
  // Ranks join in any order; rows with the same index stay in that order.
  note("process_sort_index", {{"sort_index", rank}});
  buffers_.push_back(buffer.get());
  try {
    if (!failed_) closeArray();
  } catch (const std::system_error& error) {
    failed_ = true;
    logFailure(error.what());
  }
  return buffer;
}

void TraceWriter::flush() noexcept {
  // Before the lock: in a forked child a thread of the parent may hold it forever.
  if (!isOfThisProcess()) return;
  const std::lock_guard lock(mutex_);
  for (TraceBuffer* buffer : buffers_) write(*buffer);
}

void TraceWriter::write(TraceBuffer& buffer) noexcept {
  std::vector<TraceEvent> events;
  {
    const std::lock_guard lock(buffer.mutex_);
    events.swap(buffer.events_);
  }
  if (failed_) return;
  try {
    writeEvents(buffer, events);
  } catch (const std::exception& error) {
    failed_ = true;
    logFailure(error.what());
  }
}

void TraceWriter::logFailure(std::string_view cause) const noexcept {
  log(LogLevel::kWarn, Subsystem::kInit, kNoRank, "the trace ", file_.path(), " ends early: ", cause);
}

void TraceWriter::writeEvents(TraceBuffer& buffer, std::vector<TraceEvent>& events) {
  std::ranges::sort(events, {}, &TraceEvent::begin_ns);
  for (const TraceEvent& event : events) {
    const auto kind = static_cast<std::size_t>(event.kind);
    std::vector<std::int64_t>& ends = buffer.row_ends_.at(kind);
    const std::size_t rows = ends.size();
    const std::size_t row = rowFor(event, ends);
    const int thread = static_cast<int>(kind) * kRowsPerKind + static_cast<int>(row);
    if (row == rows) nameThread(buffer.process_, thread, kKindNames.at(kind));
    writeEvent(toText(toJson(event, buffer.process_, thread)));
  }
  closeArray();
}

void TraceWriter::nameThread(std::int64_t process, int thread, const std::string& name) {
  const auto note = [&](const char* what, const Json& args) {
    writeEvent(toText(Json{{"ph", "M"}, {"name", what}, {"pid", process}, {"tid", thread}, {"args", args}}));
  };
  note("thread_name", {{"name", name}});
  note("thread_sort_index", {{"sort_index", thread}});
}

void TraceWriter::writeEvent(std::string_view json) {
  pending_.append(empty_ ? "\n" : ",\n").append(json);
  empty_ = false;
}

void TraceWriter::closeArray() {
  const std::size_t size = pending_.size();
  pending_ += kArrayEnd;
  stream_.writeAt(end_, pending_);
  // The next event takes the place of the end.
  end_ += static_cast<off_t>(size);
  pending_.clear();
}

TraceBuffer::~TraceBuffer() {
  if (!writer_.isOfThisProcess()) return;
  const std::lock_guard lock(writer_.mutex_);
  writer_.write(*this);
  std::erase(writer_.buffers_, this);
}

void TraceBuffer::add(const TraceEvent& event) noexcept {
  bool full = false;
  try {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
    full = events_.size() >= kBufferedEvents;
  } catch (const std::bad_alloc&) {
    full = true;  // this event is lost; what is buffered makes room by going to the file
  }
  if (!full || !writer_.isOfThisProcess()) return;
  const std::lock_guard lock(writer_.mutex_);
  writer_.write(*this);
}

}  // namespace signccl
