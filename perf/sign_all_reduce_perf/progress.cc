// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/progress.h"

namespace signccl::perf {
namespace {

constexpr const char* kEraseLine = "\r\x1b[K";

}  // namespace

Progress::Progress(std::ostream& out, Terminal terminal, std::size_t total)
    : out_(out), terminal_(terminal), total_(total) {}

void Progress::show(const std::string& phase) {
  if (terminal_ == Terminal::kNo) return;
  const auto elapsed = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start_);
  out_ << kEraseLine << '[' << done_ + 1;
  if (total_ > 0) out_ << '/' << total_;
  out_ << "] " << elapsed.count() << " s  " << phase << std::flush;
  shown_ = true;
}

void Progress::erase() {
  if (!shown_) return;
  out_ << kEraseLine << std::flush;
  shown_ = false;
}

}  // namespace signccl::perf
