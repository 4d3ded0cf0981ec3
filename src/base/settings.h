// SPDX-License-Identifier: Apache-2.0
// The SIGNCCL_* settings: environment variables, and config files for those that the environment leaves out.
#ifndef SIGNCCL_BASE_SETTINGS_H_
#define SIGNCCL_BASE_SETTINGS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace signccl {

/// A setting that exists. Error messages and docs/settings.md are made from this table.
struct SettingInfo {
  const char* name;
  const char* values;  ///< what it may be
  const char* meaning;
};

/// All settings, sorted by name.
std::span<const SettingInfo> knownSettings();

/// Variables named SIGNCCL_* that other parts of the project read and the library does not, sorted by name.
std::span<const SettingInfo> variablesOfOtherParts();

/// The settings as they stood when they were loaded: a value, read once for each communicator and passed to those who
/// need it. Any thread may read it.
///
/// A setting comes from the first place that has it: the environment; the file that SIGNCCL_CONF_FILE names or, without
/// that variable, .signccl.conf in the home directory; the system's file. An empty value means unset and hides the
/// places after it. A file has lines NAME=value, blank lines and lines that start with #.
class Settings {
 public:
  /// A setting that has a value.
  struct Entry {
    std::string name;
    std::string value;   ///< empty: unset on purpose
    std::string origin;  ///< "the environment", or file:line

    /// The value for logs and errors, which strangers may read: not that of a secret.
    [[nodiscard]] std::string shownValue() const;
  };

  /// Reads the environment and the files. No other thread may change the environment meanwhile. Throws
  /// signcclInvalidUsage, with file and line, for a malformed line, an unknown name, or a SIGNCCL_CONF_FILE that cannot
  /// be read. The two other files may be absent or closed to the user.
  static Settings load(const std::string& system_file = "/etc/signccl.conf");

  /// The value of a known setting, nothing if it is unset.
  [[nodiscard]] std::optional<std::string> text(std::string_view name) const;

  /// An integer, decimal or with 0x hexadecimal, from `min` to `max`; `fallback` if it is unset. Throws
  /// signcclInvalidUsage for anything else.
  [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t fallback, std::int64_t min,
                                     std::int64_t max) const;

  /// One of `allowed`, compared without case and returned as spelled there; `fallback` if it is unset. Throws
  /// signcclInvalidUsage for anything else.
  [[nodiscard]] std::string choice(std::string_view name, std::span<const std::string_view> allowed,
                                   std::string_view fallback) const;

  /// Throws signcclInvalidUsage saying that the value of `name`, which is set, is not `expected`.
  [[noreturn]] void reject(std::string_view name, const std::string& expected) const;

  /// What is set, environment first.
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

  /// Environment variables named SIGNCCL_* that nobody reads: misspelled, perhaps.
  [[nodiscard]] const std::vector<std::string>& unknownVariables() const { return unknown_variables_; }

 private:
  [[nodiscard]] const Entry* find(std::string_view name) const;
  void add(Entry entry);
  void readEnvironment();
  void readFile(const std::string& file);

  std::vector<Entry> entries_;
  std::vector<std::string> unknown_variables_;
};

}  // namespace signccl

#endif  // SIGNCCL_BASE_SETTINGS_H_
