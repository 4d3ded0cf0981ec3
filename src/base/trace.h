// SPDX-License-Identifier: Apache-2.0
// Timelines: what each rank did when, written to the file of SIGNCCL_TRACE as Chrome trace events, which Perfetto
// (ui.perfetto.dev) opens. Each rank of each communicator is a process row, each kind of event one or more thread rows.
// perf/overlap_trace.py lays those of several processes over each other, and over traces of PyTorch.
#ifndef SIGNCCL_BASE_TRACE_H_
#define SIGNCCL_BASE_TRACE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/private_file.h"
#include "base/settings.h"
#include "base/trace_file.h"
#include "base/types.h"

namespace signccl {

enum class TraceKind : std::uint8_t { kEncode, kSend, kReceive, kCount, kDecide, kDecode };
inline constexpr std::size_t kTraceKinds = 6;

/// One bar of the timeline. Times are nowNs().
struct TraceEvent {
  TraceKind kind;
  std::int32_t slice = 0;
  std::int32_t chunk = 0;
  Rank peer = kNoRank;  ///< the other rank of a message
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
  std::uint64_t bytes = 0;
};

class TraceBuffer;

/// A trace file of this process. Between calls the file is complete and valid JSON: the events of a rank are added
/// when its communicator is destroyed, when its buffer is full, and when the process ends. Any thread.
class TraceWriter {
 public:
  /// The writer of the file that SIGNCCL_TRACE names, one for each name and process, made at the first call; null if
  /// the setting is unset. It lives as long as the process. Processes that are given the same name, forked children
  /// too, have a file each (base/trace_file.h). Throws signcclInvalidUsage if the file cannot be written.
  static TraceWriter* open(const Settings& settings);

  /// Creates `file`, for this user alone, or empties it. Throws signcclInvalidUsage if it cannot be written.
  explicit TraceWriter(std::string file);
  TraceWriter(const TraceWriter&) = delete;
  TraceWriter& operator=(const TraceWriter&) = delete;
  ~TraceWriter() = default;

  /// Where the file is.
  [[nodiscard]] std::string file();
  /// True if it was made for the file of that name.
  [[nodiscard]] bool isFor(const std::string& name) const { return file_.wanted() == name; }
  /// False in a forked child of the process that made the writer.
  [[nodiscard]] bool isOfThisProcess() const noexcept;

  /// Says that ranks of a communicator of this process, in which it has `rank`, are in other processes. At the first
  /// call the file gets the rank into its name if one of them was given the same name.
  void joinOtherProcesses(Rank rank);

  /// A new process row, whose process id in the file is the rank; if the process has such a row already, that of
  /// another communicator, it is a higher one. `comm_name` tells communicators apart and may be empty; bytes that are
  /// not UTF-8 show as U+FFFD. The writer must outlive the buffer.
  std::unique_ptr<TraceBuffer> addRank(Rank rank, std::string_view comm_name);

  /// Writes what the ranks have buffered. Does nothing in a forked child, whose parent owns the file. When the file or
  /// memory fails, that is logged once and later events are lost.
  void flush() noexcept;

 private:
  friend class TraceBuffer;

  void write(TraceBuffer& buffer) noexcept;
  void writeEvents(TraceBuffer& buffer, std::vector<TraceEvent>& events);
  void logFailure(std::string_view cause) const noexcept;
  void nameThread(std::int64_t process, int thread, const std::string& name);
  void writeEvent(std::string_view json);
  void closeArray();

  const int owner_;   ///< process id
  std::mutex mutex_;  ///< guards what follows, except for the wanted name of the file
  TraceFile file_;
  PrivateFile stream_;
  off_t end_ = 0;                      ///< of what is in the file, without the end of its array
  std::string pending_;                ///< what is not in the file yet
  std::map<Rank, std::int64_t> rows_;  ///< how many each rank has
  bool empty_ = true;                  ///< no event is written
  bool failed_ = false;
  std::vector<TraceBuffer*> buffers_;  ///< those that are alive
};

/// The events of one rank on their way to the file. Owned by the rank's communicator; null where tracing is off, which
/// so costs a branch. Any thread.
class TraceBuffer {
 public:
  TraceBuffer(const TraceBuffer&) = delete;
  TraceBuffer& operator=(const TraceBuffer&) = delete;
  /// Writes what is buffered.
  ~TraceBuffer();

  /// If memory runs out, the event is lost.
  void add(const TraceEvent& event) noexcept;

 private:
  friend class TraceWriter;

  explicit TraceBuffer(TraceWriter& writer) : writer_(writer) {}

  TraceWriter& writer_;
  std::int64_t process_ = 0;  ///< id of the process row
  std::mutex mutex_;
  std::vector<TraceEvent> events_;
  /// End of the last event of each thread row, by kind. Events that overlap need rows of their own. Used by the writer
  /// under its mutex.
  std::array<std::vector<std::int64_t>, kTraceKinds> row_ends_;
};

}  // namespace signccl

#endif  // SIGNCCL_BASE_TRACE_H_
