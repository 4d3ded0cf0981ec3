// SPDX-License-Identifier: Apache-2.0
#include "rules/rules.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

#include "rules/errors.h"
#include "rules/parse.h"

namespace signccl::rules {
namespace {

/// A rules file is a page of text; what is larger is another file.
constexpr std::streamsize kMostBytes = 1 << 20;

constexpr const char* kBlanks = " \t\r\n";

std::string contentsOf(const std::string& path, const std::string& source) {
  const char* const between = source.starts_with("--") ? " " : "=";
  const auto fail = [&](const std::string& why) { throw RulesError(source + between + path, {why}); };
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("cannot read the rules file: " + std::generic_category().message(errno));
  std::string text(static_cast<std::size_t>(kMostBytes) + 1, '\0');
  file.read(text.data(), kMostBytes + 1);
  // A directory opens well and fails only when it is read.
  if (file.bad()) fail("cannot read the rules file: " + std::generic_category().message(errno));
  if (file.gcount() > kMostBytes) fail("the file is larger than 1 MiB; expected a rules file");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.find_first_not_of(kBlanks) == std::string::npos) fail("the rules file is empty");
  return text;
}

/// FNV-1a: the same on every machine.
std::uint64_t hashOf(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

std::string canonical(const Range& range) { return std::to_string(range.min) + '-' + std::to_string(range.max) + ' '; }

/// All that decides, in one form.
std::string canonical(const Rule& rule) {
  const Match& match = rule.match;
  std::string text = std::to_string(match.types.bits()) + ' ' + std::to_string(match.ops.bits()) + ' ' +
                     canonical(match.count) + canonical(match.ranks);
  if (match.comm) text += std::to_string(match.comm->size()) + ':' + *match.comm;
  text += match.marked ? (*match.marked ? " marked " : " unmarked ") : " any ";
  text += nameOf(rule.action);
  text += ' ';
  text += rule.options.zero ? nameOf(*rule.options.zero) : "any";
  text += ' ';
  text += nameOf(rule.options.tie);
  text += rule.options.trust ? " trust\n" : "\n";
  return text;
}

template <typename Enum>
std::string listOf(SetOf<Enum> set) {
  if (set == SetOf<Enum>::all()) return "any";
  std::string list;
  const auto names = namesOf(Enum{});
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (set.contains(static_cast<Enum>(i))) list += (list.empty() ? "" : "|") + std::string(names[i]);
  }
  return list;
}

std::string rangeText(const Range& range, std::uint64_t most) {
  if (range.min <= 1 && range.max >= most) return "any";
  if (range.max >= most) return std::to_string(range.min) + " or more";
  return std::to_string(range.min) + " to " + std::to_string(range.max);
}

}  // namespace

bool globMatches(std::string_view pattern, std::string_view name) {
  std::size_t at = 0;
  std::size_t next = 0;
  std::size_t star = std::string_view::npos;  // the last * so far, and where what it stands for ends
  std::size_t star_end = 0;
  while (next < name.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      star_end = next;
    } else if (at < pattern.size() && (pattern[at] == '?' || pattern[at] == name[next])) {
      ++at;
      ++next;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      next = ++star_end;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

bool Match::matches(const Call& call) const {
  return call.type && call.op && count.contains(call.count) && types.contains(*call.type) && ops.contains(*call.op) &&
         ranks.contains(static_cast<std::uint64_t>(std::max(call.ranks, 0))) && (!marked || *marked == call.marked) &&
         (!comm || globMatches(*comm, call.comm_name));
}

RuleSet::RuleSet(std::vector<Rule> rules) : rules_(std::move(rules)) {
  for (const Rule& rule : rules_) {
    if (rule.action != Action::kForward) smallest_count_ = std::min(smallest_count_, rule.match.count.min);
  }
}

RuleSet RuleSet::parse(std::string_view text, const std::string& origin) { return RuleSet(parseRules(text, origin)); }

RuleSet RuleSet::load(const std::string& value, const std::string& source) {
  const std::size_t first = value.find_first_not_of(kBlanks);
  if (first == std::string::npos) return {};
  if (value[first] == '{') return parse(value, source);
  const std::string path = value.substr(first, value.find_last_not_of(kBlanks) - first + 1);
  return parse(contentsOf(path, source), path);
}

std::optional<std::size_t> RuleSet::match(const Call& call) const {
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    if (rules_[i].match.matches(call)) return i;
  }
  return std::nullopt;
}

std::uint64_t RuleSet::digest(Mode mode) const {
  std::string text = "1 " + std::string(nameOf(mode)) + '\n';
  for (const Rule& rule : rules_) text += canonical(rule);
  return hashOf(text);
}

std::string describe(const Rule& rule) {
  const Match& match = rule.match;
  std::string text = "'" + rule.name + "': type " + listOf(match.types) + ", op " + listOf(match.ops) + ", count " +
                     rangeText(match.count, kMostCount) + ", ranks " + rangeText(match.ranks, kMostRanks);
  if (match.comm) text += ", comm '" + *match.comm + "'";
  if (match.marked) text += *match.marked ? ", marked" : ", not marked";
  text += " -> " + std::string(nameOf(rule.action));
  if (rule.options.zero) text += ", zero " + std::string(nameOf(*rule.options.zero));
  if (rule.action == Action::kVote) text += ", tie " + std::string(nameOf(rule.options.tie));
  if (rule.options.trust) text += ", trust";
  return text;
}

}  // namespace signccl::rules
