// SPDX-License-Identifier: Apache-2.0
// The owners and exceptions of signccl/signccl.hpp.
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "signccl/signccl.hpp"

namespace {

using signccl::Communicator;
using signccl::Group;
using signccl::Lion;
using signccl::Request;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

static_assert(!std::is_copy_constructible_v<Communicator> && std::is_nothrow_move_constructible_v<Communicator>);
static_assert(!std::is_copy_constructible_v<Request> && std::is_nothrow_move_constructible_v<Request>);
static_assert(!std::is_copy_constructible_v<Lion> && std::is_nothrow_move_constructible_v<Lion>);
static_assert(!std::is_move_constructible_v<Group>);

/// The error that a call throws.
template <typename Call>
signccl::Error errorOf(Call call) {
  try {
    call();
  } catch (const signccl::Error& error) {
    return error;
  }
  ADD_FAILURE() << "no exception";
  return {signcclSuccess, ""};
}

TEST(CppHeader, RanksOfOneThreadVoteInAGroup) {
  const std::vector<Communicator> comms = Communicator::allInProcess(3);
  std::vector<float> values = {1, -2, -3};
  Group group;
  for (std::size_t rank = 0; rank < 3; ++rank) comms[rank].vote(&values[rank], &values[rank], 1);
  group.end();
  EXPECT_THAT(values, Each(-1.0F));
  EXPECT_EQ(comms[2].rank(), 2);
  EXPECT_EQ(comms[2].nranks(), 3);
}

TEST(CppHeader, TypesOfBuffersAreDeduced) {
  const Communicator comm(1, signccl::makeUniqueId(), 0);
  const std::vector<double> values = {0.5, -0.5};
  std::vector<std::int8_t> vote(2);
  std::vector<std::int32_t> sum(2);
  comm.vote(values.data(), vote.data(), 2);
  comm.average(values.data(), sum.data(), 2);
  EXPECT_THAT(vote, ElementsAre(1, -1));
  EXPECT_THAT(sum, ElementsAre(1, -1));
}

TEST(CppHeader, SumsThrowOrTellTheOutcomeWhereValuesDoNotFit) {
  const Communicator comm(1, signccl::makeUniqueId(), 0);
  std::vector<float> values = {1, -1, 3};
  std::vector<float> sums(3);
  comm.sum(values.data(), sums.data(), 2);
  EXPECT_THAT(sums, ElementsAre(1, -1, 0));
  EXPECT_EQ(errorOf([&] { comm.sum(values.data(), sums.data(), 3); }).result(), signcclInvalidArgument);
  const signcclSumOutcome_t outcome = comm.trySum(values.data(), sums.data(), 3);
  EXPECT_EQ(outcome.isWritten, 0);
  EXPECT_EQ(outcome.firstIndex, 2);
}

TEST(CppHeader, ErrorsHaveTheResultAndTheText) {
  const Communicator comm(1, signccl::makeUniqueId(), 0);
  float value = 1;
  const signccl::Error error = errorOf([&] { comm.vote(static_cast<float*>(nullptr), &value, 1); });
  EXPECT_EQ(error.result(), signcclInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("sendbuff is NULL"));
}

TEST(CppHeader, AGroupThatAnExceptionLeavesMakesNoneOfItsCalls) {
  const Communicator comm(1, signccl::makeUniqueId(), 0);
  float value = -0.5F;
  const auto leave = [&] {
    const Group group;
    comm.vote(&value, &value, 1);
    throw std::runtime_error("left");
  };
  EXPECT_THROW(leave(), std::runtime_error);
  EXPECT_EQ(value, -0.5F);
  comm.vote(&value, &value, 1);
  EXPECT_EQ(value, -1.0F) << "the thread has no open group any more";
}

TEST(CppHeader, ADestroyedCommunicatorIsThatOfItsLastOwner) {
  Communicator first(1, signccl::makeUniqueId(), 0);
  const signcclComm_t handle = first.handle();
  int rank = -1;
  {
    const Communicator second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that is what is tested
    EXPECT_EQ(signcclCommUserRank(handle, &rank), signcclSuccess);
  }
  EXPECT_NE(signcclCommUserRank(handle, &rank), signcclSuccess);
}

TEST(CppHeader, RequestsAreWaitedForByHandTogetherOrAtTheirEnd) {
  const Communicator comm(1, signccl::makeUniqueId(), 0);
  std::vector<float> values(4, -0.5F);
  const auto begin = [&](std::size_t i) { return comm.voteAsync(&values[i], &values[i], 1); };
  Request by_hand = begin(0);
  std::vector<Request> together;
  together.push_back(begin(1));
  together.emplace_back();
  together.push_back(comm.averageAsync(&values[2], &values[2], 1));
  {
    const Request at_its_end = begin(3);
  }
  EXPECT_EQ(values[3], -1.0F);
  by_hand.wait();
  EXPECT_FALSE(by_hand);
  signccl::waitAll(together);
  for (const Request& request : together) EXPECT_FALSE(request);
  EXPECT_THAT(values, Each(-1.0F));
  Request tested = begin(0);
  while (!tested.test()) std::this_thread::yield();
  EXPECT_FALSE(tested);
  EXPECT_EQ(errorOf([&] { tested.wait(); }).result(), signcclInvalidArgument);
}

TEST(CppHeader, TheErrorOfARequestIsThrownByItsWait) {
  const std::vector<Communicator> comms = Communicator::allInProcess(2);
  float value = 1;
  std::vector<Request> requests;
  requests.push_back(comms[0].voteAsync(&value, &value, 1));
  EXPECT_EQ(signcclCommAbort(comms[1].handle()), signcclSuccess);
  const signccl::Error error = errorOf([&] { signccl::waitAll(requests); });
  EXPECT_EQ(error.result(), signcclRemoteError);
  EXPECT_THAT(error.what(), HasSubstr("rank 1 aborted"));
  EXPECT_FALSE(requests[0]);
}

TEST(CppHeader, ASplitWithoutAColorGivesNoCommunicator) {
  const Communicator comm(1, signccl::makeUniqueId(), 0);
  EXPECT_EQ(comm.split(7, 0).nranks(), 1);
  EXPECT_FALSE(comm.split(SIGNCCL_SPLIT_NOCOLOR, 0));
}

TEST(CppHeader, ALionStepSaysWhetherItWasSkipped) {
  const Communicator comm(1, signccl::makeUniqueId(), 0);
  float parameter = 1;
  float momentum = 0;
  const float gradient = 2;
  void* const parameters[] = {&parameter};
  void* const momenta[] = {&momentum};
  const void* const gradients[] = {&gradient};
  const std::size_t count = 1;
  const double rate = 0.25;
  const double beta = 0.5;
  const double decay = 0;
  signcclLionConfig_t config = SIGNCCL_LION_CONFIG_INITIALIZER;
  config.tensorCount = 1;
  config.parameters = parameters;
  config.momenta = momenta;
  config.counts = &count;
  const Lion lion(config, comm);
  signcclLionStepConfig_t step = SIGNCCL_LION_STEP_INITIALIZER;
  step.learningRates = &rate;
  step.beta1s = &beta;
  step.beta2s = &beta;
  step.weightDecays = &decay;
  EXPECT_TRUE(lion.step(step, gradients));
  EXPECT_EQ(parameter, 0.75F);
  step.skip = 1;
  EXPECT_FALSE(lion.step(step, gradients));
  EXPECT_EQ(parameter, 0.75F);
}

}  // namespace
