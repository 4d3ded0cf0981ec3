// Runs one exchange at a time: the only part that knows all stations of the data (docs/architecture.md).
//
//   sendbuff -> 1 encode -> 2 plan (who sends what to whom) -> 3 layout (where it lies)
//            -> 4 move -> 5 count -> 6 decide -> 7 decode -> recvbuff
//
// The vector is cut into slices; several slices are under way at once, each in a lane with memory of its own, and each
// runs the same plan. A step starts when the steps it waits for are complete, so the stations of different slices
// overlap.
#ifndef SIGNCCL_EXEC_EXECUTOR_H_
#define SIGNCCL_EXEC_EXECUTOR_H_

#include <memory>
#include <mutex>
#include <vector>

#include "base/trace.h"
#include "exec/lane.h"
#include "exec/one_round.h"
#include "exec/stations.h"
#include "exec/worker_pool.h"
#include "transport/transport.h"

namespace signccl {

/// How an executor cuts and overlaps; see docs/architecture.md for the figures behind the defaults.
struct ExecutorOptions {
  int nthreads = 1;             ///< threads that run kernels, the driving one included
  std::size_t slice_bytes = 0;  ///< most sign bytes of a slice, per vote of a rank; 0: defaultSliceWords()
  std::size_t streaming_bytes = std::size_t{16} << 20;  ///< user memory from which on results bypass the cache
};

/// One per communicator. All calls come from one thread at a time.
class Executor {
 public:
  /// The references must outlive the executor. `trace` may be null.
  Executor(const Kernels& kernels, Transport& transport, const ExecutorOptions& options, TraceBuffer* trace);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Begins an exchange. `batch` must stay until it is finished or abandoned, and `plan` as long as the executor, which
  /// keeps what it derived from the last one. Not while another exchange is under way.
  void start(const Plan& plan, const Batch& batch);

  /// Moves on without blocking. True if anything moved.
  bool progress();

  /// True if no exchange is under way: this rank has its results, and what it sent leaves by itself.
  [[nodiscard]] bool finished() const { return lanes_left_ == 0 && is_flushed_; }

  /// Gives the exchange up after a failure: waits until no kernel touches user memory and leaves the memory that peers
  /// may still read to the transport. The executor cannot be used afterwards.
  void abandon();

  /// Ranks that a message is outstanding from, ascending; if there are none, those that have yet to take one. For error
  /// messages.
  [[nodiscard]] std::vector<Rank> awaitedPeers() const;

  [[nodiscard]] std::size_t scratchBytes() const { return memory_words_ * sizeof(Word); }

 private:
  /// Pseudo numbers of the stations that are not steps of the schedule.
  static constexpr std::int32_t kEncodeStation = -1;
  static constexpr std::int32_t kDecodeStation = -2;

  struct StationJob;

  void prepareMeans();
  void prepareLanes();
  void growMemory(std::size_t words);
  void startSlice(Lane& lane);
  void startStep(Lane& lane, std::int32_t number);
  void startMessage(Lane& lane, std::int32_t number, const PlanStep& step);
  void startStation(Lane& lane, std::int32_t station);
  void runStation(Lane& lane, std::int32_t station) noexcept;
  void completeRequest(Request& request);
  void completeStation(Lane& lane, std::int32_t station);
  void completeEncode(Lane& lane);
  void completeStep(Lane& lane, std::int32_t number);
  void releaseInboxes(Lane& lane, const PlanStep& step);
  void maybeDecode(Lane& lane);
  void maybeFinish(Lane& lane);
  bool progressLanes();
  bool runStations();
  void startReady();
  bool runOneStation();
  void collectFinishedJobs();
  void traceBar(TraceKind kind, const Lane& lane, std::int32_t chunk, Rank peer, std::int64_t begin_ns,
                std::size_t bytes);
  StationJob& takeJob(Lane& lane, std::int32_t station);

  const Kernels& kernels_;
  Transport& transport_;
  ExecutorOptions options_;
  TraceBuffer* trace_;

  Exchange exchange_;
  Layout layout_;
  std::vector<std::unique_ptr<MeanTable>> mean_tables_;  ///< [ElementType] of rules mean_rules_
  CountRules mean_rules_;
  std::vector<const MeanTable*> means_;

  std::shared_ptr<Word[]> memory_;
  std::size_t memory_words_ = 0;
  /// What layout_ and the lanes are made for.
  struct Shape {
    const Plan* plan = nullptr;
    std::size_t slice_words = 0;
    std::size_t nlanes = 0;

    friend bool operator==(const Shape&, const Shape&) = default;
  };
  Shape shape_;
  bool is_one_round_ = false;  ///< one_round_ carries out exchanges of this shape, in the memory of the only lane
  OneRound one_round_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::size_t nlanes_ = 0;      ///< lanes in use by this exchange
  std::size_t lanes_left_ = 0;  ///< lanes with a slice under way
  bool is_flushed_ = true;      ///< whether the others can end the exchange without this rank
  std::size_t next_slice_ = 0;
  std::size_t encodes_left_ = 0;  ///< slices not yet encoded
  bool encode_first_ = false;

  struct Ready {
    Lane* lane;
    std::int32_t step;
  };
  std::vector<Ready> ready_;         ///< steps to start; a stack
  std::vector<Request*> completed_;  ///< scratch of progressLanes()
  std::vector<StationJob*> queue_;   ///< stations to run in the driving thread; a ring would save nothing
  std::size_t queue_head_ = 0;
  std::vector<std::unique_ptr<StationJob>> jobs_;
  std::vector<StationJob*> free_jobs_;
  std::size_t jobs_out_ = 0;  ///< handed to the pool and not yet collected

  std::mutex finished_mutex_;
  std::vector<StationJob*> finished_jobs_;  ///< guarded by finished_mutex_
  std::vector<StationJob*> collected_;      ///< scratch of collectFinishedJobs()

  WorkerPool pool_;  ///< last, so that its threads end before what their jobs use
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_EXECUTOR_H_
