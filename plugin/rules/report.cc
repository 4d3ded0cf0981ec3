// SPDX-License-Identifier: Apache-2.0
#include "rules/report.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <map>
#include <system_error>
#include <vector>

namespace signccl::rules {

struct Report::Entry {
  using Number = std::atomic<std::uint64_t>;
  Number matched{0};
  Number taken{0};
  Number fallen_back{0};
  Number forwarded{0};
  Number elements{0};
  Number ring_bytes{0};
  Number sent_bytes{0};
  Number time_ns{0};
  Number lost_ns{0};

  /// Counts a reason; true if it is new.
  bool count(const std::string& why) {
    const std::lock_guard lock(reasons_mutex);
    const auto known = reasons.find(why);
    if (known != reasons.end()) {
      ++known->second;
      return false;
    }
    // Reasons are sentences of this code with a number in some, so there are few.
    const bool has_room = reasons.size() < kMostReasons;
    ++reasons[has_room ? why : "other reasons"];
    return has_room;
  }

  /// " (3: why, 2: why)"; empty if none is known.
  std::string reasonsText() {
    const std::lock_guard lock(reasons_mutex);
    std::string text;
    for (const auto& [why, calls] : reasons) {
      text += (text.empty() ? " (" : "; ") + std::to_string(calls) + ": " + why;
    }
    return text.empty() ? text : text + ")";
  }

  static constexpr std::size_t kMostReasons = 16;
  std::mutex reasons_mutex;                      ///< of the one below
  std::map<std::string, std::uint64_t> reasons;  ///< why calls were forwarded, and how often
};

namespace {

/// A count, of which it says whether it was the first.
bool isFirst(std::atomic<std::uint64_t>& counter) { return counter.fetch_add(1, std::memory_order_relaxed) == 0; }

void add(std::atomic<std::uint64_t>& counter, std::uint64_t amount) {
  counter.fetch_add(amount, std::memory_order_relaxed);
}

std::string valueText(double value) {
  std::array<char, 32> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::string(text.data(), end) : "?";
}

/// `value` in a unit, with three decimals.
std::string scaled(std::uint64_t value, double unit) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.3f", static_cast<double>(value) / unit);
  return text.data();
}

std::string megabytes(std::uint64_t bytes) { return scaled(bytes, 1e6) + " MB"; }
std::string milliseconds(std::uint64_t ns) { return scaled(ns, 1e6) + " ms"; }

std::string callText(const Call& call) {
  std::string text = call.type ? std::string(nameOf(*call.type)) : "an unknown type";
  text += ", " + (call.op ? std::string(nameOf(*call.op)) : "an unknown op") + ", " + std::to_string(call.count) +
          " elements, " + std::to_string(call.ranks) + " ranks";
  if (!call.comm_name.empty()) text += ", communicator '" + std::string(call.comm_name) + "'";
  return text;
}

/// Whether a dry run can say of a call with these values of one rank that it would be taken.
bool fits(const Rule& rule, Values values) {
  if (rule.action != Action::kSignSum) return true;
  if (values == Values::kZeros) return rule.options.zero != ZeroRule::kBinary;
  return values == Values::kSigns;
}

std::string misfitText(std::int64_t index, double value) {
  if (index < 0) return "all elements of this rank fit, and those of another rank do not";
  return "element " + std::to_string(index) + " of this rank is " + valueText(value) + ", which does not fit";
}

}  // namespace

std::uint64_t ringBytes(ElementType type, std::uint64_t count, int ranks) {
  if (ranks < 2) return 0;
  const std::uint64_t bytes = count * sizeOf(type);
  const auto nranks = static_cast<std::uint64_t>(ranks);
  const std::uint64_t messages = 2 * (nranks - 1);
  return bytes / nranks * messages + bytes % nranks * messages / nranks;
}

Report::Report(const Settings& settings, const Log& log)
    : settings_(settings), log_(log), entries_(std::make_unique<Entry[]>(settings.rules.rules().size())) {}

Report::~Report() = default;

void Report::begin(const std::string& library) const {
  if (!log_.isEnabled(LogLevel::kInfo)) return;
  const std::vector<Rule>& rules = settings_.rules.rules();
  line(LogLevel::kInfo, "interposition is " + std::string(nameOf(settings_.mode)) + ", " +
                            "rules: " + std::to_string(rules.size()) + ", digest " + digestText(settings_.digest()) +
                            (library.empty() ? "" : ", " + library));
  for (const Rule& rule : rules) line(LogLevel::kInfo, "rule " + describe(rule));
}

void Report::matched(std::size_t index, const Call& call) {
  if (!isFirst(entries_[index].matched) || !log_.isEnabled(LogLevel::kInfo)) return;
  const Rule& rule = settings_.rules.rules()[index];
  line(LogLevel::kInfo,
       subject(index) + " matches for the first time: " + callText(call) + " -> " + std::string(nameOf(rule.action)));
}

void Report::taken(std::size_t index, const Taken& call) {
  Entry& entry = entries_[index];
  add(entry.taken, 1);
  add(entry.elements, call.elements);
  add(entry.ring_bytes, call.ring_bytes);
  add(entry.sent_bytes, call.sent_bytes);
  add(entry.time_ns, call.time_ns);
}

void Report::sent(std::size_t index, std::uint64_t bytes) { add(entries_[index].sent_bytes, bytes); }

void Report::fellBack(std::size_t index, const FellBack& call) {
  Entry& entry = entries_[index];
  add(entry.lost_ns, call.time_ns);
  if (!isFirst(entry.fallen_back) || !log_.isEnabled(LogLevel::kInfo)) return;
  const std::string why = call.refused.empty() ? misfitText(call.first_index, call.first_value)
                                               : "this rank's buffers cannot be taken (" + call.refused + ")";
  line(LogLevel::kInfo, subject(index) + " falls back for the first time: " + why + "; the call is forwarded");
}

void Report::forwarded(std::size_t index, const std::string& why) {
  Entry& entry = entries_[index];
  add(entry.forwarded, 1);
  if (why.empty() || !entry.count(why)) return;
  line(LogLevel::kInfo, subject(index) + " forwards a call that it matches: " + why);
}

void Report::wouldTake(std::size_t index, const Call& call, const LocalValues& values) {
  Entry& entry = entries_[index];
  const bool is_fit = fits(settings_.rules.rules()[index], values.values);
  if (is_fit) add(entry.elements, call.count);
  if (!isFirst(is_fit ? entry.taken : entry.fallen_back) || !log_.isEnabled(LogLevel::kInfo)) return;
  std::string what = ": would be taken";
  if (!is_fit) {
    what = ": would fall back: " + misfitText(values.first_index, values.first_value);
  } else if (settings_.rules.rules()[index].action == Action::kSignSum) {
    what += ", if the values of the other ranks fit as those of this rank do";
  }
  line(LogLevel::kInfo, subject(index) + " in a dry run: " + callText(call) + what);
}

void Report::unmatched(const Call& call) {
  bool is_of_type = false;
  bool is_of_op = false;
  bool is_large_enough = false;
  for (const Rule& rule : settings_.rules.rules()) {
    if (rule.action == Action::kForward || !call.type || !rule.match.types.contains(*call.type)) continue;
    is_of_type = true;
    if (!call.op || !rule.match.ops.contains(*call.op)) continue;
    is_of_op = true;
    if (call.count >= rule.match.count.min) is_large_enough = true;
  }
  const std::lock_guard lock(unmatched_mutex_);
  if (!is_of_type) {
    ++unmatched_.type;
  } else if (!is_of_op) {
    ++unmatched_.op;
  } else if (!is_large_enough) {
    ++unmatched_.small;
    unmatched_.largest_of_small = std::max(unmatched_.largest_of_small, call.count);
  } else {
    ++unmatched_.rest;
  }
}

Unmatched Report::unmatchedCalls() const {
  const std::lock_guard lock(unmatched_mutex_);
  return unmatched_;
}

Counters Report::counters(std::size_t index) const {
  const Entry& entry = entries_[index];
  const auto read = [](const Entry::Number& number) { return number.load(std::memory_order_relaxed); };
  Counters all;
  all.matched = read(entry.matched);
  all.taken = read(entry.taken);
  all.fallen_back = read(entry.fallen_back);
  all.forwarded = read(entry.forwarded);
  all.elements = read(entry.elements);
  all.ring_bytes = read(entry.ring_bytes);
  all.sent_bytes = read(entry.sent_bytes);
  all.time_ns = read(entry.time_ns);
  all.lost_ns = read(entry.lost_ns);
  return all;
}

std::string Report::totals(std::size_t index) const {
  const Counters all = counters(index);
  const std::string calls = subject(index) + ": " + std::to_string(all.matched) + " calls matched, ";
  const std::string forwarded = std::to_string(all.forwarded) + " forwarded" + entries_[index].reasonsText();
  if (settings_.mode == Mode::kDry) {
    return calls + std::to_string(all.taken) + " would be taken, " + std::to_string(all.fallen_back) +
           " would fall back, " + forwarded + "; " + std::to_string(all.elements) + " elements would be taken";
  }
  std::string text =
      calls + std::to_string(all.taken) + " taken, " + std::to_string(all.fallen_back) + " fallen back, " + forwarded;
  if (all.taken > 0) {
    text += "; of those taken: " + std::to_string(all.elements) + " elements, " + megabytes(all.sent_bytes) +
            " sent where a ring sends " + megabytes(all.ring_bytes) + ", " + milliseconds(all.time_ns);
  }
  if (all.fallen_back > 0) text += "; tries that fell back took " + milliseconds(all.lost_ns);
  return text;
}

std::string Report::totalsOfUnmatched() const {
  const Unmatched all = unmatchedCalls();
  std::string text = std::to_string(all.all()) + " calls match no rule that takes calls";
  const char* separator = ": ";
  const auto add = [&](std::uint64_t calls, const std::string& why) {
    if (calls == 0) return;
    text += separator + std::to_string(calls) + " " + why;
    separator = ", ";
  };
  add(all.small,
      "with fewer elements than any of them takes (the largest has " + std::to_string(all.largest_of_small) + ")");
  add(all.type, "of another element type");
  add(all.op, "with another reduction");
  add(all.rest, "with another number of ranks, communicator or mark, or too many elements");
  return text;
}

void Report::end() const {
  const LogLevel level = rank_.load(std::memory_order_relaxed) > 0 ? LogLevel::kTrace : LogLevel::kInfo;
  if (!log_.isEnabled(level)) return;
  for (std::size_t i = 0; i < settings_.rules.rules().size(); ++i) line(level, totals(i));
  if (settings_.mode == Mode::kDry) line(level, totalsOfUnmatched());
}

std::string Report::subject(std::size_t index) const { return "rule '" + settings_.rules.rules()[index].name + "'"; }

}  // namespace signccl::rules
