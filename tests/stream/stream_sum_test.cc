// SPDX-License-Identifier: Apache-2.0
// Sums of device buffers whose outcome is asked for: the bits of the reference, or nothing written on any rank, whoever
// has his buffers where.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "schedule/algorithm.h"
#include "stream_sum_job.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// An element of one rank that is no sign.
struct Spoiled {
  int rank = 0;
  std::size_t index = 0;
  StrangeValue value;
};

/// A sum of all ranks, with `spoiled` elements.
struct Round {
  SumShape shape;
  std::vector<Spoiled> spoiled;
  std::vector<std::vector<std::byte>> inputs;  ///< [rank]

  Round(int nranks, const SumShape& shaped, std::uint64_t seed, std::vector<Spoiled> strange = {})
      : shape(shaped), spoiled(std::move(strange)) {
    for (int rank = 0; rank < nranks; ++rank) inputs.push_back(signsFor(shape, seed + static_cast<unsigned>(rank)));
    for (const Spoiled& one : spoiled) {
      putPattern(shape.type, one.value.pattern, inputs[static_cast<std::size_t>(one.rank)].data(), one.index);
    }
  }

  [[nodiscard]] std::vector<std::byte> sums() const {
    std::vector<const std::byte*> elements;
    for (const std::vector<std::byte>& input : inputs) elements.push_back(input.data());
    return referenceSum(shape.type, shape.count, elements);
  }
};

std::string nameOf(const Round& round, Place place) {
  return std::to_string(round.shape.count) + " elements of type " + std::to_string(static_cast<int>(round.shape.type)) +
         ", zero rule " + std::to_string(round.shape.zero) + (round.shape.in_place ? ", in place" : "") + ", place " +
         std::to_string(static_cast<int>(place)) + ", misfit rule " + std::to_string(round.shape.misfit) + ", " +
         std::to_string(round.spoiled.size()) + " spoiled";
}

/// Rank `rank` takes part in a round, and looks at what became of it.
void takePart(const Round& round, int rank, Place place, signcclComm_t comm, const Stream& stream, std::size_t offset) {
  const std::vector<std::byte>& input = round.inputs[static_cast<std::size_t>(rank)];
  SumBuffers buffers(round.shape, place, offset, input);
  signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
  ASSERT_EQ(buffers.call(comm, stream.get(), &outcome), signcclSuccess) << signcclGetLastError(nullptr);
  stream.synchronize();
  const std::string name = nameOf(round, place);
  if (round.spoiled.empty()) {
    ASSERT_EQ(outcome.isWritten, 1) << name;
    ASSERT_EQ(outcome.firstIndex, -1) << name;
    ASSERT_EQ(buffers.result(), round.sums()) << name;
    return;
  }
  ASSERT_EQ(outcome.isWritten, 0) << name;
  ASSERT_EQ(outcome.values, round.spoiled[0].value.pattern == 0 ? signcclValuesZeros : signcclValuesOther) << name;
  const bool discards = round.shape.misfit == signcclMisfitDiscard;
  ASSERT_TRUE(discards || buffers.isUntouched()) << name;
  const auto is_mine = [&](const Spoiled& one) { return one.rank == rank; };
  const auto first = std::ranges::find_if(round.spoiled, is_mine);
  if (first == round.spoiled.end() || (discards && round.shape.in_place)) {
    ASSERT_EQ(outcome.firstIndex, -1) << name;
    return;
  }
  ASSERT_EQ(outcome.firstIndex, static_cast<std::int64_t>(first->index)) << name;
  if (std::isnan(first->value.value)) {
    ASSERT_TRUE(std::isnan(outcome.firstValue)) << name;
  } else {
    ASSERT_EQ(outcome.firstValue, first->value.value) << name;
  }
}

void runRounds(int nranks, const std::vector<Place>& places, const std::vector<Round>& rounds) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "30"}};  // a rank that fails leaves the others waiting
  Ranks ranks(nranks);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Stream stream;
    for (std::size_t i = 0; i < rounds.size(); ++i) {
      takePart(rounds[i], rank, places[static_cast<std::size_t>(rank) % places.size()], comm, stream, i % 3);
      if (::testing::Test::HasFatalFailure()) return;
    }
  });
}

/// Every type and zero rule, in place and not; every second sum has a value that does not fit.
std::vector<Round> roundsOf(int nranks, const std::vector<std::size_t>& counts) {
  std::vector<Round> rounds;
  for (const std::size_t count : counts) {
    for (const ElementType type : sumTypes()) {
      for (const int zero : {signcclZeroBinary, signcclZeroTernary}) {
        const std::uint64_t seed = 100 * rounds.size();
        const bool in_place = rounds.size() % 4 < 2;
        const int misfit = rounds.size() % 3 == 0 ? signcclMisfitDiscard : signcclMisfitKeep;
        rounds.emplace_back(nranks, SumShape{type, count, zero, in_place, misfit}, seed);
        const std::vector<StrangeValue> strange = strangeValues(type);
        const int rank = static_cast<int>(rounds.size()) % nranks;
        rounds.emplace_back(
            nranks, SumShape{type, count, zero, !in_place, misfit}, seed,
            std::vector{Spoiled{rank, (37 * rounds.size()) % count, strange[rounds.size() % strange.size()]}});
      }
    }
  }
  return rounds;
}

class StreamSumTest : public StreamTest, public ::testing::WithParamInterface<Algorithm> {};

TEST_P(StreamSumTest, RanksAsThreadsGetTheSumsOfTheReferenceOrNothing) {
  for (const int nranks : {1, 2, 3, 6}) {
    if (kSanitized && nranks != 3) continue;
    for (const std::vector<Place>& places : {std::vector{Place::kDevice},
                                             {Place::kDevice, Place::kHost},
                                             {Place::kHost, Place::kPinned, Place::kDevice}}) {
      const Environment environment{{"SIGNCCL_ALGO", std::string(algorithmName(GetParam()))},
                                    {"SIGNCCL_SLICE_BYTES", nranks % 2 == 1 ? "512" : ""},
                                    {"SIGNCCL_RANKS_PER_NODE", "3"}};
      runRounds(nranks, places, roundsOf(nranks, {1, 2'003}));
      if (HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, StreamSumTest, ::testing::ValuesIn(allAlgorithms()),
                         [](const auto& tested) { return std::string(algorithmName(tested.param)); });

using StreamSumsTest = StreamTest;

TEST_F(StreamSumsTest, ZerosFitTheTernaryRuleAlone) {
  for (const int zero : {signcclZeroBinary, signcclZeroTernary}) {
    Round round(2, {ElementType::kBFloat16, 3'000, zero, true}, 5);
    putPattern(ElementType::kBFloat16, 0, round.inputs[1].data(), 2'999);
    if (zero == signcclZeroBinary) round.spoiled.push_back({1, 2'999, {0, 0}});
    runRounds(2, {Place::kDevice}, {round});
  }
}

TEST_F(StreamSumsTest, TheFirstOfManyMisfitsOfALargeVectorIsNamed) {
  // More elements than are looked at on the host, in steps of several sizes, for aligned and for other buffers.
  constexpr std::size_t kCount = 700'001;
  std::vector<Round> rounds;
  const StrangeValue strange = strangeValues(ElementType::kInt8)[0];
  for (const std::size_t first : {std::size_t{0}, std::size_t{262'144}, std::size_t{699'999}, kCount - 1}) {
    rounds.emplace_back(2, SumShape{ElementType::kInt8, kCount, signcclZeroTernary, true}, first,
                        std::vector{Spoiled{1, first, strange}, Spoiled{1, kCount - 1, strange}});
  }
  runRounds(2, {Place::kDevice}, rounds);
  runRounds(2, {Place::kPinned}, {rounds[2]});
}

TEST_F(StreamSumsTest, AnOutcomeThatIsNotWrittenLeavesTheCommunicatorUsable) {
  const Round bad(3, {ElementType::kFloat32, 200, signcclZeroBinary, true}, 9,
                  {{0, 7, strangeValues(ElementType::kFloat32)[0]}});
  const Round good(3, {ElementType::kFloat32, 200, signcclZeroBinary, true}, 10);
  runRounds(3, {Place::kDevice, Place::kHost}, {bad, good, bad, bad, good});
}

TEST_F(StreamSumsTest, VotesAndSumsTakeTurnsOnOneStream) {
  Ranks ranks(2);
  ranks.inThreads([&](int /*rank*/, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Stream stream;
    const SumShape shape{ElementType::kFloat32, 1'000, signcclZeroBinary, false};
    const std::vector<std::byte> input = signsFor(shape, 3);
    const std::vector<std::byte> expected =
        referenceSum(shape.type, shape.count, std::vector{input.data(), input.data()});
    SumBuffers sum(shape, Place::kDevice, 0, input);
    const DeviceBuffer vote(input.size());
    vote.put(input);
    for (int turn = 0; turn < 4; ++turn) {
      const Case average{.op = SignOp::kAvg, .sendtype = signcclFloat32, .recvtype = signcclFloat32};
      ASSERT_EQ(callOn(average, vote.data(), vote.data(), shape.count, comm, stream.get()), signcclSuccess);
      signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
      ASSERT_EQ(sum.call(comm, stream.get(), &outcome), signcclSuccess) << signcclGetLastError(nullptr);
      EXPECT_EQ(outcome.isWritten, 1);
      stream.synchronize();
      EXPECT_EQ(sum.result(), expected);
      EXPECT_EQ(vote.get(), input);  // the mean of the same signs
    }
  });
}

TEST_F(StreamSumsTest, RulesThatTakeTurnsNeedNoMoreMemoryThanOnce) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  const Stream stream;
  const SumShape shape{ElementType::kFloat32, 1'000, signcclZeroBinary, true};
  const std::vector<std::byte> input = signsFor(shape, 3);
  const DeviceBuffer average(input.size());
  average.put(input);
  SumBuffers binary(shape, Place::kDevice, 0, input);
  SumBuffers ternary({shape.type, shape.count, signcclZeroTernary, true}, Place::kDevice, 0, input);
  for (int turn = 0; turn < 3; ++turn) {
    for (const int zero : {signcclZeroBinary, signcclZeroTernary}) {
      const Case mean{SignOp::kAvg, signcclFloat32, signcclFloat32, zero, signcclTieZero};
      EXPECT_EQ(callOn(mean, average.data(), average.data(), shape.count, ranks[0], stream.get()), signcclSuccess)
          << signcclGetLastError(nullptr);
      signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
      SumBuffers& sum = zero == signcclZeroBinary ? binary : ternary;
      EXPECT_EQ(sum.call(ranks[0], stream.get(), &outcome), signcclSuccess) << signcclGetLastError(nullptr);
    }
    fake_cuda::failCallsOf("cuMemAlloc_v2", CudaResult::kOutOfMemory);
  }
  stream.synchronize();
  EXPECT_EQ(binary.result(), input);
  EXPECT_EQ(ternary.result(), input);
}

TEST_F(StreamSumsTest, OneThreadSumsForAllRanksInAGroupAndEachCallHasItsOutcome) {
  constexpr int kRanks = 3;
  constexpr std::size_t kCalls = 9;  // more than travel as one exchange
  Ranks ranks(kRanks);
  const CurrentDevice current(0);
  const std::vector<Stream> streams(kRanks);
  std::vector<Round> rounds;
  for (std::size_t call = 0; call < kCalls; ++call) {
    std::vector<Spoiled> spoiled;
    if (call % 4 == 1) spoiled = {{2, 11 * call, strangeValues(ElementType::kFloat16)[0]}};
    rounds.emplace_back(kRanks, SumShape{ElementType::kFloat16, 100 + call, signcclZeroBinary, call % 2 == 0}, call,
                        spoiled);
  }
  std::vector<std::unique_ptr<SumBuffers>> buffers;
  std::vector<signcclSumOutcome_t> outcomes(kRanks * kCalls, SIGNCCL_SUM_OUTCOME_INITIALIZER);
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  for (std::size_t call = 0; call < kCalls; ++call) {
    for (std::size_t rank = 0; rank < kRanks; ++rank) {
      buffers.push_back(std::make_unique<SumBuffers>(rounds[call].shape, Place::kDevice, 0, rounds[call].inputs[rank]));
      ASSERT_EQ(
          buffers.back()->call(ranks[static_cast<int>(rank)], streams[rank].get(), &outcomes[kRanks * call + rank]),
          signcclSuccess);
    }
  }
  ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
  for (const Stream& stream : streams) stream.synchronize();
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const Round& round = rounds[i / kRanks];
    EXPECT_EQ(outcomes[i].isWritten, round.spoiled.empty() ? 1 : 0) << i;
    EXPECT_EQ(outcomes[i].firstIndex >= 0, !round.spoiled.empty() && i % kRanks == 2) << i;
    EXPECT_TRUE(round.spoiled.empty() ? buffers[i]->result() == round.sums() : buffers[i]->isUntouched()) << i;
  }
}

TEST_F(StreamSumsTest, SumsWithoutElementsAreWritten) {
  Ranks ranks(2);
  ranks.inThreads([&](int /*rank*/, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Stream stream;
    signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
    for (signcclSumOutcome_t* const asked : {&outcome, static_cast<signcclSumOutcome_t*>(nullptr)}) {
      EXPECT_EQ(signcclAllReduceSum(nullptr, nullptr, 0, signcclInt8, nullptr, comm, stream.get(), asked),
                signcclSuccess)
          << signcclGetLastError(nullptr);
    }
    EXPECT_EQ(outcome.isWritten, 1);
  });
}

TEST_F(StreamSumsTest, AStreamThatIsCapturedIsRefused) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  const Stream stream;
  const SumShape shape{ElementType::kFloat32, 100, signcclZeroBinary, true};
  SumBuffers buffers(shape, Place::kDevice, 0, signsFor(shape, 1));
  signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
  ASSERT_EQ(buffers.call(ranks[0], stream.get(), &outcome), signcclSuccess) << signcclGetLastError(nullptr);
  expectCuda(cuStreamBeginCapture_v2(stream.get(), CudaCaptureMode::kThreadLocal));
  for (signcclSumOutcome_t* const asked : {&outcome, static_cast<signcclSumOutcome_t*>(nullptr)}) {
    EXPECT_EQ(buffers.call(ranks[0], stream.get(), asked), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(ranks[0]), AllOf(HasSubstr("signcclAllReduceSum()"), HasSubstr("captured")));
  }
  CudaGraph graph = nullptr;
  expectCuda(cuStreamEndCapture(stream.get(), &graph));
  expectCuda(cuGraphDestroy(graph));
  EXPECT_EQ(buffers.call(ranks[0], stream.get(), &outcome), signcclSuccess) << signcclGetLastError(nullptr);
}

}  // namespace
}  // namespace signccl
