#include "control/signature.h"

#include <gtest/gtest.h>

namespace signccl {
namespace {

std::string differenceTo(const ExchangeSignature& other) {
  const ExchangeSignature base{.op = SignOp::kVote,
                               .votes_per_rank = 1,
                               .tie = TieRule::kRandom,
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
            "the tie rule is random on rank 0 and zero on rank 3");
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

TEST(SignatureTest, NamesAreThoseOfThePublicHeader) {
  const std::pair<ElementType, const char*> types[] = {
      {ElementType::kFloat32, "float32"}, {ElementType::kFloat16, "float16"}, {ElementType::kBFloat16, "bfloat16"},
      {ElementType::kFloat64, "float64"}, {ElementType::kInt8, "int8"},       {ElementType::kInt16, "int16"},
      {ElementType::kInt32, "int32"},     {ElementType::kBits, "bits"}};
  for (const auto& [type, name] : types) EXPECT_STREQ(elementTypeName(type), name);
  const std::pair<TieRule, const char*> rules[] = {{TieRule::kZero, "zero"},
                                                   {TieRule::kPositive, "positive"},
                                                   {TieRule::kNegative, "negative"},
                                                   {TieRule::kRandom, "random"}};
  for (const auto& [rule, name] : rules) EXPECT_STREQ(tieRuleName(rule), name);
}

}  // namespace
}  // namespace signccl
