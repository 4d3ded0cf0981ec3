#include "exec/executor.h"

#include <algorithm>
#include <new>
#include <thread>

#include "base/error.h"
#include "schedule/slices.h"

namespace signccl {
namespace {

/// Lanes beyond one for each thread: enough for a slice that waits for messages at each end of one that computes.
constexpr std::size_t kExtraLanes = 3;

/// Stations with less work than this run in the driving thread: handing them over costs more.
constexpr std::size_t kSmallestJobWords = 1024;

std::size_t divideUp(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

}  // namespace

/// One station of one slice, as a job for the pool.
struct Executor::StationJob final : Job {
  explicit StationJob(Executor& owner) : executor(owner) {}

  void run() noexcept override {
    executor.runStation(*lane, station);
    {
      const std::lock_guard lock(executor.finished_mutex_);
      executor.finished_jobs_.push_back(this);
    }
    executor.transport_.wake();
  }

  Executor& executor;
  Lane* lane = nullptr;
  std::int32_t station = 0;
};

Executor::Executor(const Kernels& kernels, Transport& transport, const ExecutorOptions& options, TraceBuffer* trace)
    : kernels_(kernels),
      transport_(transport),
      options_(options),
      trace_(trace),
      one_round_(transport),
      pool_(options.nthreads - 1) {}

Executor::~Executor() = default;

void Executor::start(const Plan& plan, const Batch& batch) {
  SIGNCCL_ASSERT(finished() && batch.nwords > 0);
  exchange_.kernels = &kernels_;
  exchange_.plan = &plan;
  exchange_.batch = &batch;
  exchange_.layout = &layout_;
  exchange_.nslices = sliceCount(batch.nwords, options_.slice_bytes / sizeof(Word), batch.rules);
  exchange_.store = batch.userBytes() >= options_.streaming_bytes ? Store::kStreaming : Store::kCached;
  encode_first_ = batch.mustEncodeFirst();
  if (batch.rules.op == SignOp::kAvg) prepareMeans();
  prepareLanes();
  lanes_left_ = nlanes_;
  is_flushed_ = false;
  if (is_one_round_) return one_round_.start();
  next_slice_ = 0;
  encodes_left_ = exchange_.nslices;
  for (std::size_t i = 0; i < nlanes_; ++i) startSlice(*lanes_[i]);
  // The first messages of a small vector leave before the first look at the transport.
  if (shape_.slice_words < kSmallestJobWords) runStations();
}

void Executor::prepareMeans() {
  const CountRules& rules = exchange_.batch->rules;
  if (mean_tables_.empty() || mean_rules_.nranks != rules.nranks ||
      mean_rules_.votes_per_rank != rules.votes_per_rank) {
    mean_tables_.clear();
    mean_tables_.resize(kNumElementTypes);
    mean_rules_ = rules;
  }
  means_.clear();
  for (const Segment& segment : exchange_.batch->segments) {
    std::unique_ptr<MeanTable>& table = mean_tables_[static_cast<std::size_t>(segment.recvtype)];
    if (!table) table = std::make_unique<MeanTable>(segment.recvtype, rules);
    means_.push_back(table.get());
  }
  exchange_.means = means_;
}

void Executor::prepareLanes() {
  const std::size_t overlapping = static_cast<std::size_t>(options_.nthreads) + kExtraLanes;
  nlanes_ = encode_first_ ? exchange_.nslices : std::min(exchange_.nslices, overlapping);
  const Shape shape{exchange_.plan, divideUp(exchange_.batch->nwords, exchange_.nslices), nlanes_};
  if (shape == shape_) return;  // a small vector takes less time than this
  shape_ = shape;
  layout_.build(*exchange_.plan, shape.slice_words);
  growMemory(nlanes_ * layout_.totalWords());
  while (lanes_.size() < nlanes_) lanes_.push_back(std::make_unique<Lane>());
  for (std::size_t i = 0; i < nlanes_; ++i) {
    lanes_[i]->prepare(*exchange_.plan, i, memory_.get() + i * layout_.totalWords());
  }
  // A trace shows the stations and messages of lanes.
  is_one_round_ = exchange_.nslices == 1 && shape.slice_words < kSmallestJobWords && trace_ == nullptr &&
                  OneRound::canRun(*exchange_.plan);
  if (is_one_round_) one_round_.prepare(exchange_, memory_.get());
}

void Executor::growMemory(std::size_t words) {
  if (words <= memory_words_) return;
  constexpr std::align_val_t kAlignment{64};
  memory_.reset();
  memory_words_ = 0;
  memory_ = std::shared_ptr<Word[]>(static_cast<Word*>(::operator new[](words * sizeof(Word), kAlignment)),
                                    [](Word* memory) { ::operator delete[](memory, kAlignment); });
  memory_words_ = words;
}

void Executor::startSlice(Lane& lane) {
  const WordRange range = exchange_.sliceRange(next_slice_);
  lane.begin(*exchange_.plan, next_slice_, range.begin, range.size);
  ++next_slice_;
  startStation(lane, kEncodeStation);
  for (const std::int32_t step : exchange_.plan->at_start) ready_.push_back({&lane, step});
}

bool Executor::progress() {
  bool moved = is_one_round_ ? one_round_.progress() : progressLanes();
  if (is_one_round_ && one_round_.finished()) lanes_left_ = 0;
  if (lanes_left_ == 0 && !is_flushed_ && transport_.flush()) moved = is_flushed_ = true;
  return moved;
}

bool Executor::progressLanes() {
  transport_.progress(completed_);
  bool moved = !completed_.empty();
  for (Request* request : completed_) completeRequest(*request);
  completed_.clear();
  if (jobs_out_ > 0) collectFinishedJobs();
  if (runStations()) moved = true;
  return moved;
}

/// Starts what can start and runs a station; of small slices all that there are, since a look at the transport takes
/// longer than they do. True if one was run.
bool Executor::runStations() {
  bool ran = false;
  do {
    startReady();
    if (!runOneStation()) break;
    ran = true;
  } while (shape_.slice_words < kSmallestJobWords);
  startReady();
  return ran;
}

void Executor::startReady() {
  while (!ready_.empty()) {
    const Ready next = ready_.back();
    ready_.pop_back();
    startStep(*next.lane, next.step);
  }
}

void Executor::startStep(Lane& lane, std::int32_t number) {
  const PlanStep& step = exchange_.plan->steps[static_cast<std::size_t>(number)];
  if (exchange_.wordsOf(lane.slice, step.run).size == 0) {
    completeStep(lane, number);
  } else if (step.kind == StepKind::kSend || step.kind == StepKind::kRecv) {
    startMessage(lane, number, step);
  } else {
    startStation(lane, number);
  }
}

void Executor::startMessage(Lane& lane, std::int32_t number, const PlanStep& step) {
  const std::span<Word> words = messageWords(exchange_, lane.slice, step);
  const Tag tag{exchange_.batch->exchange, static_cast<std::uint32_t>(lane.slice.number), step.ordinal,
                exchange_.batch->digest};
  Request& request = lane.requests[static_cast<std::size_t>(number)];
  request.user = lane.requestId(number);
  lane.awaited[static_cast<std::size_t>(number)] = 1;
  if (trace_ != nullptr) lane.started_ns[static_cast<std::size_t>(number)] = nowNs();
  if (step.kind == StepKind::kSend) {
    if (step.is_staged) gatherMessage(exchange_, lane.slice, step);
    transport_.send(step.peer, tag, std::as_bytes(words), request);
  } else {
    const Landing landing = step.slot.kind == SlotKind::kInbox ? Landing::kBorrow : Landing::kCopy;
    transport_.recv(step.peer, tag, std::as_writable_bytes(words), landing, request);
  }
}

void Executor::completeRequest(Request& request) {
  Lane& lane = *lanes_[Lane::laneOf(request.user)];
  const std::int32_t number = Lane::stepOf(request.user);
  const PlanStep& step = exchange_.plan->steps[static_cast<std::size_t>(number)];
  lane.awaited[static_cast<std::size_t>(number)] = 0;
  if (step.kind == StepKind::kRecv) {
    if (step.slot.kind == SlotKind::kInbox) {
      const auto inbox = static_cast<std::size_t>(step.slot.index);
      lane.inboxes[inbox] = reinterpret_cast<const Word*>(request.data.data());
      lane.inbox_requests[inbox] = &request;
    } else if (step.is_staged) {
      scatterMessage(exchange_, lane.slice, step);
    }
  }
  if (trace_ != nullptr) {
    const bool is_send = step.kind == StepKind::kSend;
    traceBar(is_send ? TraceKind::kSend : TraceKind::kReceive, lane, step.run.first, step.peer,
             lane.started_ns[static_cast<std::size_t>(number)], messageWords(exchange_, lane.slice, step).size_bytes());
  }
  completeStep(lane, number);
}

void Executor::startStation(Lane& lane, std::int32_t station) {
  StationJob& job = takeJob(lane, station);
  const std::size_t nwords = station < 0 ? lane.slice.nwords * 8 : lane.slice.nwords;
  if (pool_.nworkers() > 0 && nwords >= kSmallestJobWords) {
    ++jobs_out_;
    pool_.post(job);
  } else {
    queue_.push_back(&job);
  }
}

void Executor::runStation(Lane& lane, std::int32_t station) noexcept {
  const std::int64_t begin_ns = trace_ != nullptr ? nowNs() : 0;
  const PlanStep* step = station < 0 ? nullptr : &exchange_.plan->steps[static_cast<std::size_t>(station)];
  if (step == nullptr) {
    station == kEncodeStation ? encodeSlice(exchange_, lane.slice) : decodeSlice(exchange_, lane.slice);
  } else if (step->kind == StepKind::kCount) {
    countVotes(exchange_, lane.slice, *step);
  } else {
    decideChunk(exchange_, lane.slice, *step);
  }
  if (trace_ == nullptr) return;
  if (step == nullptr) {
    traceBar(station == kEncodeStation ? TraceKind::kEncode : TraceKind::kDecode, lane, 0, kNoRank, begin_ns,
             lane.slice.nwords * sizeof(Word));
  } else {
    traceBar(step->kind == StepKind::kCount ? TraceKind::kCount : TraceKind::kDecide, lane, step->run.first, kNoRank,
             begin_ns, exchange_.wordsOf(lane.slice, step->run).size * sizeof(Word));
  }
}

void Executor::traceBar(TraceKind kind, const Lane& lane, std::int32_t chunk, Rank peer, std::int64_t begin_ns,
                        std::size_t bytes) {
  trace_->add({kind, static_cast<std::int32_t>(lane.slice.number), chunk, peer, begin_ns, nowNs(), bytes});
}

bool Executor::runOneStation() {
  if (queue_head_ < queue_.size()) {
    StationJob& job = *queue_[queue_head_++];
    if (queue_head_ == queue_.size()) {
      queue_.clear();
      queue_head_ = 0;
    }
    Lane& lane = *job.lane;
    const std::int32_t station = job.station;
    runStation(lane, station);
    free_jobs_.push_back(&job);
    completeStation(lane, station);
    return true;
  }
  if (jobs_out_ == 0 || !pool_.runOne()) return false;
  collectFinishedJobs();
  return true;
}

void Executor::collectFinishedJobs() {
  {
    const std::lock_guard lock(finished_mutex_);
    collected_.swap(finished_jobs_);
  }
  for (StationJob* job : collected_) {
    --jobs_out_;
    free_jobs_.push_back(job);
    completeStation(*job->lane, job->station);
  }
  collected_.clear();
}

Executor::StationJob& Executor::takeJob(Lane& lane, std::int32_t station) {
  if (free_jobs_.empty()) {
    jobs_.push_back(std::make_unique<StationJob>(*this));
    free_jobs_.push_back(jobs_.back().get());
  }
  StationJob& job = *free_jobs_.back();
  free_jobs_.pop_back();
  job.lane = &lane;
  job.station = station;
  return job;
}

void Executor::completeStation(Lane& lane, std::int32_t station) {
  if (station == kEncodeStation) {
    completeEncode(lane);
  } else if (station == kDecodeStation) {
    lane.decoded = true;
    maybeFinish(lane);
  } else {
    completeStep(lane, station);
  }
}

void Executor::completeEncode(Lane& lane) {
  --encodes_left_;
  for (const std::int32_t waiting : exchange_.plan->after_encode) {
    if (--lane.waits_for[static_cast<std::size_t>(waiting)] == 0) ready_.push_back({&lane, waiting});
  }
  // The last slice to be encoded lets the others write their results.
  if (encode_first_ && encodes_left_ == 0) {
    for (std::size_t i = 0; i < nlanes_; ++i) maybeDecode(*lanes_[i]);
  }
}

void Executor::completeStep(Lane& lane, std::int32_t number) {
  const PlanStep& step = exchange_.plan->steps[static_cast<std::size_t>(number)];
  if (step.kind == StepKind::kCount) releaseInboxes(lane, step);
  for (const std::int32_t waiting : exchange_.plan->dependentsOf(step)) {
    if (--lane.waits_for[static_cast<std::size_t>(waiting)] == 0) ready_.push_back({&lane, waiting});
  }
  --lane.steps_left;
  if (step.writes_result && --lane.results_left == 0) maybeDecode(lane);
  maybeFinish(lane);
}

void Executor::releaseInboxes(Lane& lane, const PlanStep& step) {
  for (const CountSource& source : exchange_.plan->sourcesOf(step)) {
    if (source.slot.kind != SlotKind::kInbox) continue;
    Request*& request = lane.inbox_requests[static_cast<std::size_t>(source.slot.index)];
    if (request != nullptr) transport_.release(*request);
    request = nullptr;
  }
}

void Executor::maybeDecode(Lane& lane) {
  if (lane.results_left > 0 || lane.decoding || (encode_first_ && encodes_left_ > 0)) return;
  lane.decoding = true;
  startStation(lane, kDecodeStation);
}

void Executor::maybeFinish(Lane& lane) {
  if (lane.steps_left > 0 || !lane.decoded) return;
  if (next_slice_ < exchange_.nslices) {
    startSlice(lane);
  } else {
    --lanes_left_;
  }
}

void Executor::abandon() {
  // Kernels never wait for anything, so this ends as soon as those under way have run.
  while (jobs_out_ > 0) {
    {
      const std::lock_guard lock(finished_mutex_);
      jobs_out_ -= finished_jobs_.size();
      finished_jobs_.clear();
    }
    if (jobs_out_ > 0 && !pool_.runOne()) std::this_thread::yield();
  }
  queue_.clear();
  ready_.clear();
  one_round_.abandon();
  if (memory_) transport_.keepAlive(memory_);
  lanes_left_ = 0;
  is_flushed_ = true;
}

std::vector<Rank> Executor::awaitedPeers() const {
  std::vector<Rank> peers;
  for (const StepKind kind : {StepKind::kRecv, StepKind::kSend}) {
    if (!peers.empty()) break;
    if (is_one_round_) {
      peers = one_round_.awaitedPeers(kind == StepKind::kSend);
      continue;
    }
    for (const auto& lane : lanes_) {
      for (std::size_t number = 0; number < lane->awaited.size(); ++number) {
        if (lane->awaited[number] == 0) continue;
        const PlanStep& step = exchange_.plan->steps[number];
        if (step.kind == kind) peers.push_back(step.peer);
      }
    }
  }
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  return peers;
}

}  // namespace signccl
