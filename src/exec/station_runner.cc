// SPDX-License-Identifier: Apache-2.0
#include "exec/station_runner.h"

#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "exec/worker_pool.h"

namespace signccl {
namespace {

/// Runs a station, and draws it in the timeline if there is one.
void runTraced(StationWork& work, TraceBuffer* trace) {
  const std::int64_t begin_ns = trace == nullptr ? 0 : nowNs();
  work.note = runStation(*work.context, *work.slice, work.station);
  if (trace == nullptr) return;
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
    StationWork work = queue_[head_++];
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
    StationTask& task = takeTask();
    task.work = work;
    ++tasks_out_;
    pool_.post(task);
  }

  bool poll(std::vector<StationWork>& done) override {
    collect(done);
    if (small_.poll(done) || !done.empty() || tasks_out_ == 0) return !done.empty();
    if (pool_.runOne()) collect(done);
    return !done.empty();
  }

  void drain() noexcept override {
    small_.drain();
    // Kernels never wait for anything, so this ends as soon as those under way have run.
    while (tasks_out_ > 0) {
      {
        const std::lock_guard lock(mutex_);
        tasks_out_ -= finished_.size();
        finished_.clear();
      }
      if (tasks_out_ > 0 && !pool_.runOne()) std::this_thread::yield();
    }
  }

 private:
  struct StationTask final : PoolTask {
    explicit StationTask(PoolRunner& runner) : owner(runner) {}

    void run() noexcept override {
      try {
        runTraced(work, owner.trace_);
      } catch (...) {
        error = std::current_exception();
      }
      {
        const std::lock_guard lock(owner.mutex_);
        owner.finished_.push_back(this);  // has room, see takeTask()
      }
      owner.wake_();
    }

    PoolRunner& owner;
    StationWork work;
    std::exception_ptr error;
  };

  StationTask& takeTask() {
    if (free_.empty()) {
      tasks_.push_back(std::make_unique<StationTask>(*this));
      free_.reserve(tasks_.capacity());
      free_.push_back(tasks_.back().get());
      const std::lock_guard lock(mutex_);
      collected_.reserve(tasks_.capacity());
      finished_.reserve(tasks_.capacity());
    }
    StationTask& task = *free_.back();
    free_.pop_back();
    return task;
  }

  void collect(std::vector<StationWork>& done) {
    if (tasks_out_ == 0) return;
    {
      const std::lock_guard lock(mutex_);
      collected_.swap(finished_);
    }
    std::exception_ptr error;
    for (StationTask* const task : collected_) {
      --tasks_out_;
      if (task->error) error = std::exchange(task->error, nullptr);
      free_.push_back(task);
      done.push_back(task->work);
    }
    collected_.clear();
    if (error) std::rethrow_exception(error);
  }

  TraceBuffer* trace_;
  std::function<void()> wake_;
  InlineRunner small_;
  std::vector<std::unique_ptr<StationTask>> tasks_;
  std::vector<StationTask*> free_;
  std::size_t tasks_out_ = 0;  ///< handed to the pool and not yet collected

  std::mutex mutex_;
  std::vector<StationTask*> finished_;   ///< guarded by mutex_
  std::vector<StationTask*> collected_;  ///< scratch of collect()

  WorkerPool pool_;  ///< last, so that its threads end before what their tasks use
};

}  // namespace

std::unique_ptr<StationRunner> makeStationRunner(int nthreads, std::function<void()> wake, TraceBuffer* trace) {
  if (nthreads == 1) return std::make_unique<InlineRunner>(trace);
  return std::make_unique<PoolRunner>(nthreads - 1, std::move(wake), trace);
}

}  // namespace signccl
