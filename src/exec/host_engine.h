// SPDX-License-Identifier: Apache-2.0
// Carries out exchanges in host memory, over a transport. It knows all stations of the data (docs/architecture.md):
//
//   source -> 1 encode -> 2 plan (who sends what to whom) -> 3 layout (where it lies) -> 4 move
//          -> 5 count -> 6 decide -> 7 decode -> sink
#ifndef SIGNCCL_EXEC_HOST_ENGINE_H_
#define SIGNCCL_EXEC_HOST_ENGINE_H_

#include <array>
#include <memory>
#include <vector>

#include "base/trace.h"
#include "exec/engine.h"
#include "exec/lane_engine.h"
#include "exec/layout.h"
#include "exec/mean_table.h"
#include "exec/one_round_engine.h"
#include "exec/scratch.h"

namespace signccl {

/// How an engine cuts and overlaps; docs/architecture.md has the figures behind the defaults.
struct HostEngineOptions {
  int nthreads = 1;             ///< threads that run kernels, the driving one included
  std::size_t slice_bytes = 0;  ///< most sign bytes of a slice, per vote of a rank; 0: defaultSliceWords()
  std::size_t streaming_bytes = std::size_t{16} << 20;  ///< user memory from which on results bypass the cache
};

class HostEngine final : public Engine {
 public:
  /// `kernels` and `trace`, which may be null, must outlive the engine. Throws signcclSystemError if a thread cannot be
  /// started.
  HostEngine(const Kernels& kernels, std::unique_ptr<Transport> transport, const HostEngineOptions& options,
             TraceBuffer* trace);

  void start(const Plan& plan, const Batch& batch) override;
  bool progress() override;
  [[nodiscard]] bool finished() const override { return is_finished_; }
  [[nodiscard]] Notes notes() const override { return active_->notes(); }
  void abandon() noexcept override;
  void wait(std::chrono::microseconds longest) override;
  [[nodiscard]] bool lacksOwnSigns() const override {
    return !is_finished_ && active_ == &lanes_ && lanes_.lacksSigns();
  }
  void wake() override { transport_->wake(); }
  [[nodiscard]] std::vector<Rank> awaitedPeers() const override;
  [[nodiscard]] EngineCounters counters() const override { return {transport_->counters(), scratch_.bytes()}; }

 private:
  /// What the inner engine is prepared for. Preparing takes longer than a small exchange.
  struct Shape {
    const Plan* plan = nullptr;
    std::size_t nwords = 0;
    std::size_t nslices = 0;
    std::size_t nlanes = 0;

    friend bool operator==(const Shape&, const Shape&) = default;
  };

  void prepareMeans();
  void prepare(const Shape& shape);

  const HostEngineOptions options_;
  const bool is_traced_;
  const std::unique_ptr<Transport> transport_;

  StationContext context_;
  Layout layout_;
  using MeanTables = std::array<std::unique_ptr<MeanTable>, kNumElementTypes>;
  MeanTables mean_tables_;  ///< of rules mean_rules_
  MeanTables sum_tables_;   ///< the same
  CountRules mean_rules_;
  std::vector<const MeanTable*> means_;
  Scratch scratch_;

  LaneEngine lanes_;
  OneRoundEngine one_round_;
  InnerEngine* active_ = &lanes_;  ///< carries out exchanges of shape_
  Shape shape_;
  bool needs_flush_ = false;  ///< active_ is finished, and what it sent may still need this rank
  bool is_finished_ = true;
  std::chrono::steady_clock::time_point waits_for_signs_since_;
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_HOST_ENGINE_H_
