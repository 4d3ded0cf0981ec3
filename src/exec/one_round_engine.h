// SPDX-License-Identifier: Apache-2.0
// Small exchanges of one round: every message carries the signs of its sender, and each rank counts all that it gets.
// They need none of the queues and counters of lanes, which take longer than the work where a vector has a few words.
#ifndef SIGNCCL_EXEC_ONE_ROUND_ENGINE_H_
#define SIGNCCL_EXEC_ONE_ROUND_ENGINE_H_

#include <cstddef>
#include <span>
#include <vector>

#include "exec/inner_engine.h"
#include "transport/transport.h"

namespace signccl {

/// Carries out an exchange of a single slice in the order of its plan, in the driving thread.
class OneRoundEngine final : public InnerEngine {
 public:
  /// The transport must outlive it.
  explicit OneRoundEngine(Transport& transport) : transport_(transport) {}

  /// True if a plan has one round.
  static bool canRun(const Plan& plan);

  void prepare(const StationContext& context, std::size_t nlanes, Word* memory) override;
  void start() override;
  bool progress() override;
  [[nodiscard]] bool finished() const override { return is_decoded_ && sends_left_ == 0; }
  [[nodiscard]] Notes notes() const override { return {slice_.note, own_note_}; }
  void abandon() noexcept override;
  [[nodiscard]] std::vector<Rank> peersOf(StepKind kind) const override;

 private:
  struct Message {
    const PlanStep* step = nullptr;
    std::span<Word> words;
    bool is_open = false;
    Request request;
  };

  void countAndDecode();

  Transport& transport_;
  const StationContext* context_ = nullptr;
  Slice slice_;
  std::uint32_t own_note_ = 0;
  std::vector<Message> messages_;  ///< sends first
  std::size_t nsends_ = 0;
  std::vector<const Word*> inboxes_;  ///< [inboxes] where the message is
  std::size_t sends_left_ = 0;
  std::size_t receives_left_ = 0;
  bool is_decoded_ = true;
  std::vector<Request*> completed_;  ///< scratch of progress()
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_ONE_ROUND_ENGINE_H_
