// SPDX-License-Identifier: Apache-2.0
#include "rules/json_text.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

namespace signccl::rules {
namespace {

/// A rules file has 5 levels. Some functions of the JSON library call themselves for each level.
constexpr std::size_t kMostLevels = 32;

/// Follows the parser, to know the JSON pointer of what it reads.
class Reader {
 public:
  explicit Reader(std::vector<std::string>& problems) : problems_(problems) {}

  /// As the parser's callback: whether to keep what was read.
  bool operator()(int /*depth*/, Json::parse_event_t event, Json& value) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        return open(event == Json::parse_event_t::object_start);
      case Json::parse_event_t::key:
        readKey(value.get_ref<const std::string&>());
        return true;
      case Json::parse_event_t::object_end:
      case Json::parse_event_t::array_end:
        levels_.pop_back();
        break;
      case Json::parse_event_t::value:
        break;
    }
    if (!levels_.empty()) ++levels_.back().index;
    return true;
  }

 private:
  struct Level {
    bool is_object = false;
    std::size_t index = 0;
    std::string key;
    std::set<std::string> keys;
  };

  bool open(bool is_object) {
    if (levels_.size() == kMostLevels) {
      problems_.push_back(place() + ": nested deeper than " + std::to_string(kMostLevels) +
                          " levels; expected a rules file, which has 5");
    }
    levels_.emplace_back().is_object = is_object;
    return levels_.size() <= kMostLevels;
  }

  void readKey(const std::string& key) {
    Level& level = levels_.back();
    level.key = key;
    if (!level.keys.insert(key).second) {
      problems_.push_back(place() + ": the key is there twice; expected each key once");
    }
  }

  [[nodiscard]] std::string place() const {
    std::string place;
    for (const Level& level : levels_) {
      place = memberPlace(place, level.is_object ? level.key : std::to_string(level.index));
    }
    return place;
  }

  std::vector<std::string>& problems_;
  std::vector<Level> levels_;
};

std::string printable(std::string text) {
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c > 0x7e; }, '?');
  return text;
}

std::string syntaxProblem(std::string_view text, const Json::parse_error& error) {
  const std::size_t byte = std::clamp<std::size_t>(error.byte, 1, text.size() + 1);
  const std::string_view before = text.substr(0, byte - 1);
  const auto line = std::ranges::count(before, '\n') + 1;
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  // "[...] parse error at line 2, column 27: syntax error while ...": its own column counts otherwise for comments.
  std::string what = error.what();
  const std::size_t reason = what.find("column ");
  const std::size_t colon = reason == std::string::npos ? reason : what.find(": ", reason);
  if (colon != std::string::npos) what = what.substr(colon + 2);
  return "byte " + std::to_string(byte) + ": " + printable(what) + "; at line " + std::to_string(line) + ", column " +
         std::to_string(byte - line_start);
}

}  // namespace

Json parseJson(std::string_view text, std::vector<std::string>& problems) {
  try {
    return Json::parse(text, Reader(problems), true, true);
  } catch (const Json::parse_error& error) {
    problems.push_back(syntaxProblem(text, error));
  } catch (const Json::exception& error) {
    problems.push_back("the text: " + printable(error.what()));
  }
  return {};
}

std::string memberPlace(const std::string& place, std::string_view key) {
  std::string member = place + '/';
  for (const char c : key) {
    if (c == '~') {
      member += "~0";
    } else if (c == '/') {
      member += "~1";
    } else {
      member += c < 0x20 && c >= 0 ? '?' : c;
    }
  }
  return member;
}

std::string problemAt(const std::string& place, const Json& value, const std::string& expected) {
  constexpr std::size_t kLongest = 60;
  std::string found = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (found.size() > kLongest) found = found.substr(0, kLongest) + "...";
  return (place.empty() ? "the text" : place) + ": " + found + "; expected " + expected;
}

}  // namespace signccl::rules
