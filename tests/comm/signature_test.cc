// SPDX-License-Identifier: Apache-2.0
#include "comm/signature.h"

#include <functional>

#include <gtest/gtest.h>

#include "kernels/names.h"
#include "support/caught.h"

namespace signccl {
namespace {

ComparedEnd elements(ElementType type) { return {static_cast<std::uint64_t>(type), elementTypeName(type)}; }

CallSignature callOf(std::uint64_t count, ElementType sendtype = ElementType::kFloat32,
                     ElementType recvtype = ElementType::kBits) {
  return {count, 7, elements(sendtype), elements(recvtype)};
}

std::string differenceTo(const ExchangeSignature& other) {
  const ExchangeSignature base{
      .op = SignOp::kVote, .votes_per_rank = 1, .tie = TieRule::kRandom, .calls = {callOf(10)}};
  EXPECT_FALSE(base == other);
  return describeDifference(base, 0, other, 3);
}

ExchangeSignature changed(void (*change)(ExchangeSignature&)) {
  ExchangeSignature signature{.calls = {callOf(10)}};
  change(signature);
  return signature;
}

TEST(SignatureTest, EveryDifferenceIsNamedWithBothRanksAndBothValues) {
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.op = SignOp::kAvg; })),
            "the collective is AllReduceVote on rank 0 and AllReduceAvg on rank 3");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.votes_per_rank = 2; })),
            "the zero rule is binary on rank 0 and ternary on rank 3");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.tie = TieRule::kZero; })),
            "the tie rule is random on rank 0 and zero on rank 3");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.carrier = Carrier::kNccl; })),
            "what carries the votes is a transport of the host on rank 0 and NCCL on rank 3");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.calls[0].count = 11; })),
            "count is 10 on rank 0 and 11 on rank 3 (a rank may have left out or repeated a call)");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.calls[0].source = elements(ElementType::kBFloat16); })),
            "sendtype is float32 on rank 0 and bfloat16 on rank 3");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.calls[0].sink = elements(ElementType::kInt8); })),
            "recvtype is bits on rank 0 and int8 on rank 3");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.calls[0].number = 8; })),
            "call number is 7 on rank 0 and 8 on rank 3");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.calls.push_back({}); })),
            "the number of collectives in the group is 1 on rank 0 and 2 on rank 3");
}

TEST(SignatureTest, CallOfAGroupIsNamedByItsNumber) {
  const ExchangeSignature a{.calls = {callOf(1), callOf(2), callOf(3)}};
  const ExchangeSignature b{.calls = {callOf(1), callOf(5), callOf(3)}};
  EXPECT_EQ(describeDifference(a, 1, b, 0), "count of call 1 of the group is 2 on rank 1 and 5 on rank 0");
}

/// A step of tensors 4 and 5 of a list.
ExchangeSignature stepWith(const std::string& source, const std::string& sink) {
  const CallSignature first{10, 7, {1, "beta1=0.9"}, {2, "rate=0.1"}};
  return {.first_tensor = 4, .calls = {first, {20, 7, {std::hash<std::string>()(source), source}, {3, sink}}}};
}

TEST(SignatureTest, StepsNameTheTensorAndTheHyperparameterThatDiffers) {
  const ExchangeSignature base = stepWith("the type=float32, beta1=0.9", "the rate=0.1, decay=0");
  const auto differ = [&](const ExchangeSignature& other) { return describeDifference(base, 0, other, 3); };
  EXPECT_EQ(differ(stepWith("the type=float32, beta1=0.95", "the rate=0.1, decay=0")),
            "beta1 of tensor 5 is 0.9 on rank 0 and 0.95 on rank 3");
  EXPECT_EQ(differ(stepWith("the type=float32, beta1=0.9", "the rate=0.2, decay=0")),
            "the rate of tensor 5 is 0.1 on rank 0 and 0.2 on rank 3");
  EXPECT_EQ(differ(stepWith("something else", "the rate=0.1, decay=0")),
            "the step of tensor 5 is the type=float32, beta1=0.9 on rank 0 and something else on rank 3");
  ExchangeSignature other = base;
  other.first_tensor = 5;
  EXPECT_EQ(differ(other), "the first tensor is 4 on rank 0 and 5 on rank 3");
  other = base;
  other.calls.pop_back();
  EXPECT_EQ(differ(other), "the number of tensors is 2 on rank 0 and 1 on rank 3");
  other = base;
  other.calls[1].count = 21;
  EXPECT_EQ(differ(other), "count of tensor 5 is 20 on rank 0 and 21 on rank 3");
  other = base;
  other.first_tensor = kNoStep;
  EXPECT_EQ(differ(other), "the collective is a Lion step with AllReduceVote on rank 0 and AllReduceVote on rank 3");
}

TEST(SignatureTest, FirstTensorIsInTheDigest) {
  ExchangeSignature step = stepWith("", "");
  const std::uint64_t digest = step.digest();
  step.first_tensor = 5;
  EXPECT_NE(step.digest(), digest);
  step.first_tensor = kNoStep;
  EXPECT_NE(step.digest(), digest);
}

TEST(SignatureTest, EqualCallsAreEqual) {
  const ExchangeSignature a{.calls = {callOf(1), callOf(2)}};
  EXPECT_TRUE(a == ExchangeSignature(a));
}

TEST(SignatureTest, BytesComeBackAsTheSameSignature) {
  const ExchangeSignature sent{.op = SignOp::kAvg,
                               .votes_per_rank = 2,
                               .tie = TieRule::kNegative,
                               .first_tensor = std::int64_t{1} << 33,
                               .calls = {callOf(std::uint64_t{1} << 40, ElementType::kBFloat16, ElementType::kBits),
                                         callOf(0, ElementType::kFloat64, ElementType::kInt32)}};
  EXPECT_EQ(decodeSignature(encode(sent)), sent);
  EXPECT_EQ(encode(decodeSignature(encode(sent)), "memory of an earlier one"), encode(sent));
}

TEST(SignatureTest, BytesThatAreNoSignatureAreRefusedAndDescribedAllTheSame) {
  const std::string good = encode({.calls = {callOf(1), callOf(2)}});
  std::string unknown_collective = good;
  unknown_collective.front() = '\x7f';
  for (const std::string& bad : {std::string(), good.substr(0, good.size() - 1), good + "x", unknown_collective}) {
    EXPECT_EQ(caught([&] { decodeSignature(bad); }).code, signcclRemoteError);
    EXPECT_EQ(describeEncoded(good, 0, bad, 1), "what rank 0 or rank 1 announced cannot be understood");
  }
}

}  // namespace
}  // namespace signccl
