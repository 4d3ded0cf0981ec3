#include "comm/signature.h"

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
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.calls[0].count = 11; })),
            "count is 10 on rank 0 and 11 on rank 3");
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

TEST(SignatureTest, EqualCallsAreEqual) {
  const ExchangeSignature a{.calls = {callOf(1), callOf(2)}};
  EXPECT_TRUE(a == ExchangeSignature(a));
}

TEST(SignatureTest, BytesComeBackAsTheSameSignature) {
  const ExchangeSignature sent{.op = SignOp::kAvg,
                               .votes_per_rank = 2,
                               .tie = TieRule::kNegative,
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
