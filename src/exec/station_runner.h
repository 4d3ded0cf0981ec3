// SPDX-License-Identifier: Apache-2.0
// Where the stations of slices run: in the driving thread, or in a pool of threads; later on a CUDA stream.
#ifndef SIGNCCL_EXEC_STATION_RUNNER_H_
#define SIGNCCL_EXEC_STATION_RUNNER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/trace.h"
#include "exec/stations.h"

namespace signccl {

/// One station of one slice. What the pointers point to stays until the work is done.
struct StationWork {
  const StationContext* context = nullptr;
  const Slice* slice = nullptr;
  std::size_t lane = 0;      ///< for the poster
  std::int32_t station = 0;  ///< kEncodeStation, kDecodeStation, or the number of a kCount or kDecide step
  std::uint32_t note = 0;    ///< once it is done: what runStation() gave
};

/// All calls come from one thread at a time.
class StationRunner {
 public:
  virtual ~StationRunner() = default;

  /// Hands work over. Throws std::bad_alloc.
  virtual void post(const StationWork& work) = 0;

  /// Appends work that is done to `done`; runs one piece in the calling thread if none is done and some is left. False
  /// if nothing is done. Rethrows what a station threw.
  virtual bool poll(std::vector<StationWork>& done) = 0;

  /// Returns when no station is running; those that have not begun never do.
  virtual void drain() noexcept = 0;
};

/// Slices with less work than this run in the driving thread: handing them over costs more.
inline constexpr std::size_t kSmallestPoolWords = 1024;

/// A runner with `nthreads` threads, the driving one included. `wake` is called from another thread when work is done
/// there. `trace` may be null. Throws signcclSystemError if a thread cannot be started.
std::unique_ptr<StationRunner> makeStationRunner(int nthreads, std::function<void()> wake, TraceBuffer* trace);

}  // namespace signccl

#endif  // SIGNCCL_EXEC_STATION_RUNNER_H_
