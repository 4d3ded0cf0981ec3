// SPDX-License-Identifier: Apache-2.0
// The name of a trace's file. Processes that are given the same name get a file each.
#ifndef SIGNCCL_BASE_TRACE_FILE_H_
#define SIGNCCL_BASE_TRACE_FILE_H_

#include <string>
#include <utility>

#include "base/types.h"

namespace signccl {

/// Creates a file and keeps a lock on it, by which processes find out that they were given the same name. Not for
/// several threads at once.
class TraceFile {
 public:
  /// Takes `wanted`, or the name with host and process id before its extension if a living process has `wanted`. What
  /// is no regular file, such as /dev/null, is taken as it is. Throws signcclInvalidUsage if it cannot be created.
  explicit TraceFile(std::string wanted);
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;
  ~TraceFile() = default;

  [[nodiscard]] const std::string& wanted() const { return wanted_; }
  /// Where the file is now.
  [[nodiscard]] const std::string& path() const { return path_; }

  /// To be called once other processes that belong together with this one have made their TraceFile. If one of them
  /// wanted the same name, the file is renamed: `rank`, that of this process, goes before its extension. The file of
  /// an earlier run is replaced; if a living process has that name, or the file cannot be renamed, it keeps its name.
  void nameByRankIfShared(Rank rank);

 private:
  /// Closes it in the end; -1: none.
  class Descriptor {
   public:
    Descriptor() = default;
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    Descriptor& operator=(Descriptor&& other) noexcept {
      std::swap(number_, other.number_);
      return *this;
    }
    ~Descriptor();
    [[nodiscard]] int number() const { return number_; }

   private:
    int number_ = -1;
  };

  std::string wanted_;
  std::string path_;
  Descriptor wanted_lock_;  ///< of the file that had the wanted name; -1 if that is no regular file
  Descriptor own_lock_;     ///< of this process's file if that is another one
  bool is_settled_ = false;
};

}  // namespace signccl

#endif  // SIGNCCL_BASE_TRACE_FILE_H_
