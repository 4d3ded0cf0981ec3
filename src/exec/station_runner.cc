#include "exec/station_runner.h"

#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "exec/worker_pool.h"

namespace signccl {
namespace {

/// Runs a station, and draws it in the timeline if there is one.
void runTraced(const StationWork& work, TraceBuffer* trace) {
  if (trace == nullptr) return runStation(*work.context, *work.slice, work.station);
  const std::int64_t begin_ns = nowNs();
  runStation(*work.context, *work.slice, work.station);
  TraceEvent event;
  event.slice = static_cast<std::int32_t>(work.slice->number);
  event.begin_ns = begin_ns;
  event.end_ns = nowNs();
  if (work.station < 0) {
    event.kind = work.station == kEncodeStation ? TraceKind::kEncode : TraceKind::kDecode;
    event.bytes = work.slice->nwords * sizeof(Word);
  } else {
    const PlanStep& step = work.context->plan->steps[static_cast<std::size_t>(work.station)];
    event.kind = step.kind == StepKind::kCount ? TraceKind::kCount : TraceKind::kDecide;
    event.chunk = step.run.first;
    event.bytes = work.context->wordsOf(*work.slice, step.run).size * sizeof(Word);
  }
  trace->add(event);
}

/// Runs everything in the driving thread, in the order of posting.
class InlineRunner final : public StationRunner {
 public:
  explicit InlineRunner(TraceBuffer* trace) : trace_(trace) {}

  void post(const StationWork& work) override { queue_.push_back(work); }

  bool poll(std::vector<StationWork>& done) override {
    if (head_ == queue_.size()) return false;
    const StationWork work = queue_[head_++];
    if (head_ == queue_.size()) drain();
    runTraced(work, trace_);
    done.push_back(work);
    return true;
  }

  void drain() noexcept override {
    queue_.clear();
    head_ = 0;
  }

 private:
  TraceBuffer* trace_;
  std::vector<StationWork> queue_;  ///< a ring would save nothing: it is empty most of the time
  std::size_t head_ = 0;
};

/// Runs large stations in a pool, whose work the driving thread shares when it has none of its own.
class PoolRunner final : public StationRunner {
 public:
  PoolRunner(int nworkers, std::function<void()> wake, TraceBuffer* trace)
      : trace_(trace), wake_(std::move(wake)), small_(trace), pool_(nworkers) {}
  ~PoolRunner() override { drain(); }
  PoolRunner(const PoolRunner&) = delete;
  PoolRunner& operator=(const PoolRunner&) = delete;

  void post(const StationWork& work) override {
    // Encoding and decoding read and write whole elements, of which a word has 64.
    const std::size_t nwords = work.station < 0 ? work.slice->nwords * 8 : work.slice->nwords;
    if (nwords < kSmallestPoolWords) return small_.post(work);
    StationJob& job = takeJob();
    job.work = work;
    ++jobs_out_;
    pool_.post(job);
  }

  bool poll(std::vector<StationWork>& done) override {
    collect(done);
    if (small_.poll(done) || !done.empty() || jobs_out_ == 0) return !done.empty();
    if (pool_.runOne()) collect(done);
    return !done.empty();
  }

  void drain() noexcept override {
    small_.drain();
    // Kernels never wait for anything, so this ends as soon as those under way have run.
    while (jobs_out_ > 0) {
      {
        const std::lock_guard lock(mutex_);
        jobs_out_ -= finished_.size();
        finished_.clear();
      }
      if (jobs_out_ > 0 && !pool_.runOne()) std::this_thread::yield();
    }
  }

 private:
  struct StationJob final : Job {
    explicit StationJob(PoolRunner& runner) : owner(runner) {}

    void run() noexcept override {
      try {
        runTraced(work, owner.trace_);
      } catch (...) {
        error = std::current_exception();
      }
      {
        const std::lock_guard lock(owner.mutex_);
        owner.finished_.push_back(this);  // has room, see takeJob()
      }
      owner.wake_();
    }

    PoolRunner& owner;
    StationWork work;
    std::exception_ptr error;
  };

  StationJob& takeJob() {
    if (free_.empty()) {
      jobs_.push_back(std::make_unique<StationJob>(*this));
      free_.reserve(jobs_.capacity());
      free_.push_back(jobs_.back().get());
      const std::lock_guard lock(mutex_);
      collected_.reserve(jobs_.capacity());
      finished_.reserve(jobs_.capacity());
    }
    StationJob& job = *free_.back();
    free_.pop_back();
    return job;
  }

  void collect(std::vector<StationWork>& done) {
    if (jobs_out_ == 0) return;
    {
      const std::lock_guard lock(mutex_);
      collected_.swap(finished_);
    }
    std::exception_ptr error;
    for (StationJob* const job : collected_) {
      --jobs_out_;
      if (job->error) error = std::exchange(job->error, nullptr);
      free_.push_back(job);
      done.push_back(job->work);
    }
    collected_.clear();
    if (error) std::rethrow_exception(error);
  }

  TraceBuffer* trace_;
  std::function<void()> wake_;
  InlineRunner small_;
  std::vector<std::unique_ptr<StationJob>> jobs_;
  std::vector<StationJob*> free_;
  std::size_t jobs_out_ = 0;  ///< handed to the pool and not yet collected

  std::mutex mutex_;
  std::vector<StationJob*> finished_;   ///< guarded by mutex_
  std::vector<StationJob*> collected_;  ///< scratch of collect()

  WorkerPool pool_;  ///< last, so that its threads end before what their jobs use
};

}  // namespace

std::unique_ptr<StationRunner> makeStationRunner(int nthreads, std::function<void()> wake, TraceBuffer* trace) {
  if (nthreads == 1) return std::make_unique<InlineRunner>(trace);
  return std::make_unique<PoolRunner>(nthreads - 1, std::move(wake), trace);
}

}  // namespace signccl
