// Where and when a run takes place.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_HOST_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_HOST_H_

#include <string>

namespace signccl::perf {

struct Host {
  std::string name;
  int pid = 0;
};
Host thisHost();

/// "2026-03-01 12:00:00", local time: the form of nccl-tests.
std::string timeOfDay();

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_HOST_H_
