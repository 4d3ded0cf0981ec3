// SPDX-License-Identifier: Apache-2.0
// The table of fastest algorithms that --tune writes and the library reads from SIGNCCL_TUNING_FILE. It overrules the
// cost model only where measurements do so beyond doubt, and says nothing of sizes that were not measured.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_TUNING_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_TUNING_H_

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "sign_all_reduce_perf/host.h"
#include "sign_all_reduce_perf/runner.h"

namespace signccl::perf {

/// The algorithms worth a measurement, by name: hierarchical only where nodes have several ranks.
std::vector<std::string> algorithmsToTune(int nranks, int nnodes);

/// Nodes of the library that these processes are on: hosts of different names on one machine count as different ones.
int countNodes(const std::vector<Host>& hosts);

/// How often --tune measures every algorithm, at least: what the model chooses gives way to another algorithm only if
/// that was faster each time.
inline constexpr int kLeastTuningRounds = 3;

/// What the measurements of one size say.
struct TuningDecision {
  std::size_t count = 0;
  std::string by_model;  ///< what the library takes by itself
  double by_model_us = 0;
  std::string fastest;  ///< by its median
  double fastest_us = 0;
  bool is_certain = false;  ///< `fastest` is another algorithm, and better than `by_model` by more than the noise
};

/// The measurements of all algorithms.
class TuningRecord {
 public:
  TuningRecord(int nranks, int nnodes)
      : nranks_(nranks), nnodes_(nnodes), algorithms_(algorithmsToTune(nranks, nnodes)) {}

  /// What is to be measured, by name.
  [[nodiscard]] const std::vector<std::string>& algorithms() const { return algorithms_; }

  /// Takes row.algorithm as what the library chooses by itself. Throws OptionError if it is none of algorithms().
  void addChoiceOfModel(const Row& row);

  /// Takes the times of a row in which row.algorithm was forced.
  void add(const Row& row);

  /// By count. What the model chooses must be known for all of them, and measured.
  [[nodiscard]] std::vector<TuningDecision> decisions(SignOp op) const;

  /// The decisions as lines of text for people, each with a # before it, and a warning if they are of one size.
  [[nodiscard]] std::string text() const;

  /// `file`, which may be empty, with the groups measured here put in or replaced. Throws OptionError if it is no such
  /// file.
  [[nodiscard]] nlohmann::ordered_json mergedInto(const std::string& file) const;

 private:
  struct Times {
    std::vector<double> out_of_place_us;
    std::vector<double> in_place_us;
  };
  struct Size {
    std::string by_model;
    std::map<std::string, Times> times;  ///< by algorithm
  };

  static bool isCertainlyFaster(const Times& one, const Times& other);
  [[nodiscard]] nlohmann::ordered_json groupOf(SignOp op) const;

  int nranks_;
  int nnodes_;
  std::vector<std::string> algorithms_;
  std::map<SignOp, std::map<std::size_t, Size>> sizes_;  ///< by count
};

/// Writes the record into the file of that name, which keeps what else it says. Throws OptionError.
void writeTuningFile(const TuningRecord& record, const std::string& path);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_TUNING_H_
