// SPDX-License-Identifier: Apache-2.0
// Rules files: any text is either rules, whose digest and matches can be asked for, or an error that names what is wrong.
#include <string>
#include <string_view>

#include "fuzz/fuzz.h"
#include "rules/carry.h"
#include "rules/errors.h"
#include "rules/rules.h"

namespace signccl {

std::vector<std::string> fuzzSeeds() {
  return {R"({"version": 1, "rules": [{"match": {}, "action": "forward"}]})",
          R"({"version": 1, "rules": [
  // comment
  {"name": "small", "match": {"count": {"max": 65535}}, "action": "forward"},
  {"name": "signs", "match": {"type": ["int8", "bfloat16", "float32"], "op": "sum", "ranks": {"max": 127}},
   "action": "sign_sum", "options": {"zero": "ternary", "trust": true}}]})",
          R"({"version": 1, "rules": [
  {"name": "vote", "match": {"marked": true, "comm": "dp_*?"}, "action": "vote",
   "options": {"lossy": true, "tie": "random"}}, /* and */
  {"match": {"op": ["sum", "avg"], "count": {"min": 1}}, "action": "avg", "options": {"lossy": true}}]})"};
}

}  // namespace signccl

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace signccl;
  using namespace signccl::rules;
  const std::string_view text = asText(data, size);
  try {
    const RuleSet rules = RuleSet::parse(text, "fuzz");
    mustHold(!rules.rules().empty(), "a rules file has rules");
    Call call;
    call.type = ElementType::kInt8;
    call.op = ReduceOp::kSum;
    call.count = 1 << 20;
    call.ranks = 4;
    call.comm_name = text.substr(0, 50);
    if (const auto index = rules.match(call)) {
      const Rule& rule = rules.rules().at(*index);
      mustHold(rule.match.matches(call), "the rule that is found matches");
      whyNotCarried(rule, call);
      mustHold(rule.action == Action::kForward || rules.smallestCount() <= call.count, "no call below is taken");
    }
    for (const Rule& rule : rules.rules()) mustHold(!describe(rule).empty(), "a rule can be described");
    mustHold(rules.digest(Mode::kOn) != rules.digest(Mode::kDry), "the mode is in the digest");
  } catch (const RulesError& error) {
    mustHold(!error.problems().empty(), "an error names what is wrong");
    for (const std::string& problem : error.problems()) {
      mustHold(problem.size() < 100000 && problem.find('\n') == std::string::npos, "a problem is one line");
    }
  }
  return 0;
}
