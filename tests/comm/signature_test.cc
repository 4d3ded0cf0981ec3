#include "comm/signature.h"

#include <gtest/gtest.h>

#include "support/caught.h"

namespace signccl {
namespace {

std::string differenceTo(const ExchangeSignature& other) {
  const ExchangeSignature base{.op = SignOp::kVote,
                               .votes_per_rank = 1,
                               .tie = TieRule::kAlternate,
                               .calls = {{10, ElementType::kFloat32, ElementType::kBits}}};
  EXPECT_FALSE(base == other);
  return describeDifference(base, 0, other, 3);
}

ExchangeSignature changed(void (*change)(ExchangeSignature&)) {
  ExchangeSignature signature{.calls = {{10, ElementType::kFloat32, ElementType::kBits}}};
  change(signature);
  return signature;
}

TEST(SignatureTest, EveryDifferenceIsNamedWithBothRanksAndBothValues) {
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.op = SignOp::kAvg; })),
            "the collective is AllReduceVote on rank 0 and AllReduceAvg on rank 3");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.votes_per_rank = 2; })),
            "the zero rule is binary on rank 0 and ternary on rank 3");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.tie = TieRule::kZero; })),
            "the tie rule is alternate on rank 0 and zero on rank 3");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.calls[0].count = 11; })),
            "count is 10 on rank 0 and 11 on rank 3");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.calls[0].sendtype = ElementType::kBFloat16; })),
            "sendtype is float32 on rank 0 and bfloat16 on rank 3");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.calls[0].recvtype = ElementType::kInt8; })),
            "recvtype is bits on rank 0 and int8 on rank 3");
  EXPECT_EQ(differenceTo(changed([](ExchangeSignature& s) { s.calls.push_back({}); })),
            "the number of collectives in the group is 1 on rank 0 and 2 on rank 3");
}

TEST(SignatureTest, CallOfAGroupIsNamedByItsNumber) {
  const ExchangeSignature a{.calls = {{1}, {2}, {3}}};
  const ExchangeSignature b{.calls = {{1}, {5}, {3}}};
  EXPECT_EQ(describeDifference(a, 1, b, 0), "count of call 1 of the group is 2 on rank 1 and 5 on rank 0");
}

TEST(SignatureTest, EqualCallsAreEqual) {
  const ExchangeSignature a{.calls = {{1}, {2}}};
  EXPECT_TRUE(a == ExchangeSignature(a));
}

TEST(SignatureTest, BytesComeBackAsTheSameSignature) {
  const ExchangeSignature sent{.op = SignOp::kAvg,
                               .votes_per_rank = 2,
                               .tie = TieRule::kNegative,
                               .calls = {{std::uint64_t{1} << 40, ElementType::kBFloat16, ElementType::kBits},
                                         {0, ElementType::kFloat64, ElementType::kInt32}}};
  EXPECT_EQ(decodeSignature(encode(sent)), sent);
  EXPECT_EQ(encode(decodeSignature(encode(sent)), "memory of an earlier one"), encode(sent));
}

TEST(SignatureTest, BytesThatAreNoSignatureAreRefusedAndDescribedAllTheSame) {
  const std::string good = encode({.calls = {{1}, {2}}});
  std::string unknown_type = good;
  unknown_type.back() = '\x7f';
  for (const std::string& bad : {std::string(), good.substr(0, good.size() - 1), good + "x", unknown_type}) {
    EXPECT_EQ(caught([&] { decodeSignature(bad); }).code, signcclRemoteError);
    EXPECT_EQ(describeEncoded(good, 0, bad, 1), "what rank 0 or rank 1 announced cannot be understood");
  }
}

}  // namespace
}  // namespace signccl
