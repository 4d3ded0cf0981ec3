// The table of fastest algorithms that --tune writes and the library reads from SIGNCCL_TUNING_FILE.
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

/// The measurements of all algorithms.
class TuningRecord {
 public:
  TuningRecord(int nranks, int nnodes) : nranks_(nranks), nnodes_(nnodes) {}

  /// Takes the out-of-place time of a row in which row.algorithm was forced; of several for a size the best one.
  void add(const Row& row);

  /// `file`, which may be empty, with the groups measured here put in or replaced. Throws OptionError if it is no such
  /// file.
  [[nodiscard]] nlohmann::ordered_json mergedInto(const std::string& file) const;

 private:
  using Times = std::map<std::string, double>;  ///< by algorithm

  [[nodiscard]] nlohmann::ordered_json groupOf(SignOp op) const;

  int nranks_;
  int nnodes_;
  std::map<SignOp, std::map<std::size_t, Times>> times_;  ///< by count
};

/// Writes the record into the file of that name, which keeps what else it says. Throws OptionError.
void writeTuningFile(const TuningRecord& record, const std::string& path);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_TUNING_H_
