// SPDX-License-Identifier: Apache-2.0
#include "launch/pmix_store.h"

#include <cstring>
#include <memory>
#include <pmix.h>

#include "launch/error.h"

namespace signccl::launch {
namespace {

constexpr const char* kKey = "signccl.launch.meeting";

void check(pmix_status_t status, const char* call) {
  if (status == PMIX_SUCCESS) return;
  throw LaunchError(std::string(call) + " failed: " + PMIx_Error_string(status) +
                    ", expected success; was this process started by mpirun or srun --mpi=pmix?");
}

/// Between PMIx_Init() and PMIx_Finalize(). A launcher takes a process that ends in between for one that crashed.
class Session {
 public:
  Session() { check(PMIx_Init(&me_, nullptr, 0), "PMIx_Init"); }
  ~Session() { PMIx_Finalize(nullptr, 0); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] const pmix_proc_t& me() const { return me_; }

  /// A process of this job, or all of it with PMIX_RANK_WILDCARD.
  [[nodiscard]] pmix_proc_t process(pmix_rank_t rank) const {
    pmix_proc_t other = me_;
    other.rank = rank;
    return other;
  }

 private:
  pmix_proc_t me_{};
};

struct FreeValue {
  void operator()(pmix_value_t* value) const { PMIX_VALUE_RELEASE(value); }
};
using Value = std::unique_ptr<pmix_value_t, FreeValue>;

Value get(const pmix_proc_t& owner, const char* key, pmix_data_type_t type) {
  pmix_value_t* value = nullptr;
  check(PMIx_Get(&owner, key, nullptr, 0, &value), "PMIx_Get");
  Value result(value);
  if (result->type != type) {
    throw LaunchError(std::string("PMIx_Get of ") + key + " gave a value of type " + std::to_string(result->type) +
                      ", expected " + std::to_string(type));
  }
  return result;
}

/// Waits for all processes of the job, and gives each what the others have committed.
void fence(const Session& session, std::chrono::seconds timeout) {
  pmix_info_t info[2];
  bool collect = true;
  int seconds = static_cast<int>(timeout.count());
  PMIX_INFO_LOAD(&info[0], PMIX_COLLECT_DATA, &collect, PMIX_BOOL);
  PMIX_INFO_LOAD(&info[1], PMIX_TIMEOUT, &seconds, PMIX_INT);
  const pmix_proc_t everyone = session.process(PMIX_RANK_WILDCARD);
  const pmix_status_t status = PMIx_Fence(&everyone, 1, info, 2);
  for (pmix_info_t& one : info) PMIX_INFO_DESTRUCT(&one);
  check(status, "PMIx_Fence");
}

}  // namespace

bool hasPmix() { return true; }

int pmixJobSize() {
  const Session session;
  return static_cast<int>(get(session.process(PMIX_RANK_WILDCARD), PMIX_JOB_SIZE, PMIX_UINT32)->data.uint32);
}

std::string pmixShare(int process, const std::string& value, std::chrono::seconds timeout) {
  const Session session;
  if (session.me().rank != static_cast<pmix_rank_t>(process)) {
    throw LaunchError("PMIx calls this process " + std::to_string(session.me().rank) + ", its launcher process " +
                      std::to_string(process) + ": expected the same number");
  }
  if (process == 0) {
    pmix_value_t published;
    PMIX_VALUE_CONSTRUCT(&published);
    const std::unique_ptr<char[]> bytes = std::make_unique<char[]>(value.size());
    value.copy(bytes.get(), value.size());
    pmix_byte_object_t object{bytes.get(), value.size()};
    PMIX_VALUE_LOAD(&published, &object, PMIX_BYTE_OBJECT);  // copies the bytes
    const pmix_status_t status = PMIx_Put(PMIX_GLOBAL, kKey, &published);
    PMIX_VALUE_DESTRUCT(&published);
    check(status, "PMIx_Put");
    check(PMIx_Commit(), "PMIx_Commit");
  }
  fence(session, timeout);
  if (process == 0) return value;
  const Value published = get(session.process(0), kKey, PMIX_BYTE_OBJECT);
  return {published->data.bo.bytes, published->data.bo.size};
}

}  // namespace signccl::launch
