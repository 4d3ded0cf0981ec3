// SPDX-License-Identifier: Apache-2.0
#include "transport/ucx/ucx_context.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <string_view>
#include <unistd.h>
#include <utility>

#include "base/descriptors.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/log.h"
#include "base/process_locks.h"
#include "transport/ucx/signal_keeper.h"
#include "transport/ucx/ucx_environment.h"

namespace signccl {
namespace {

/// A setting of UCX that we choose unless the user did.
struct UcxSetting {
  const char* variable;  ///< the user's way to set it, with UCX_
  const char* old_key;   ///< what ucp_config_modify() calls it up to UCX 1.16; from then on it is the variable's name
  const char* value;
};

/// UCX_TCP_SYN_CNT is not among them: 1.13 corrupts its neighbour when it reads it.
constexpr std::array kSettings = std::to_array<UcxSetting>({
    // Shared memory takes part in error handling only on request; without it UCX falls back to tcp within a host.
    {"UCX_POSIX_ERROR_HANDLING", "MM_ERROR_HANDLING", "y"},
    {"UCX_SYSV_ERROR_HANDLING", "MM_ERROR_HANDLING", "y"},
    {"UCX_KEEPALIVE_INTERVAL", "KEEPALIVE_INTERVAL", "1s"},
    {"UCX_TCP_KEEPIDLE", "KEEPIDLE", "2s"},
    {"UCX_TCP_KEEPINTVL", "KEEPINTVL", "2s"},
    // A silent peer must not hold up the thread that connects to it.
    {"UCX_TCP_CONN_NB", "CONN_NB", "y"},
    // Else a flush over tcp waits for an answer of each peer, which one that is between two calls does not give.
    {"UCX_FLUSH_WORKER_EPS", "FLUSH_WORKER_EPS", "n"},
    // A message up to this size arrives in one piece and is copied once; larger ones go straight to where they belong.
    {"UCX_TCP_RX_SEG_SIZE", "RX_SEG_SIZE", "512k"},
    {"UCX_TCP_TX_SEG_SIZE", "TX_SEG_SIZE", "256k"},
});

/// UCX warns, for each worker, of settings that no transport of UCX_TLS reads.
bool isRead(const UcxSetting& setting) {
  const std::string_view variable = setting.variable;
  if (variable.ends_with("_ERROR_HANDLING")) return ucxMayUseSharedMemory();
  return !variable.starts_with("UCX_TCP_") || ucxMayUseTcp();
}

/// The settings of a context before it is made.
class Config {
 public:
  explicit Config(const UcxLibrary& library) : library_(library) {
    checkUcx(ucx(), ucx().ucp_config_read(nullptr, nullptr, &config_), "ucp_config_read");
  }
  ~Config() { ucx().ucp_config_release(config_); }
  Config(const Config&) = delete;
  Config& operator=(const Config&) = delete;

  [[nodiscard]] const ucp_config_t* get() const { return config_; }

  void apply(const std::string& net_devices) {
    const bool has_old_keys = library_.minor < 17;
    for (const UcxSetting& setting : kSettings) {
      if (std::getenv(setting.variable) != nullptr) continue;
      if (!isRead(setting)) continue;
      const std::string_view variable = setting.variable;
      const char* const new_key = variable.substr(std::string_view("UCX_").size()).data();
      set(has_old_keys ? setting.old_key : new_key, setting.value);
    }
    if (!net_devices.empty() && std::getenv("UCX_NET_DEVICES") == nullptr) set("NET_DEVICES", net_devices.c_str());
  }

 private:
  [[nodiscard]] const UcxFunctions& ucx() const { return library_.functions; }

  void set(const char* key, const char* value) {
    const ucs_status_t status = ucx().ucp_config_modify(config_, key, value);
    if (status == UCS_OK) return;
    log(LogLevel::kWarn, Subsystem::kNet, kNoRank, "UCX does not accept the setting ", key, "=", value, ": ",
        ucx().ucs_status_string(status));
  }

  const UcxLibrary& library_;
  ucp_config_t* config_ = nullptr;
};

/// What a process has of UCX.
struct ProcessUcx {
  std::mutex mutex;  ///< guards what follows
  std::optional<const UcxLibrary> library;
  std::map<std::string, std::weak_ptr<UcxContext>> contexts;
};

/// How many times UCX is in use in this process; see UcxContext::Use. Guarded by ProcessLock::kUcxUses, so that no use
/// begins while the process forks.
int uses = 0;

/// The process that used UCX when this one, or one between them, was forked from it; 0: none.
std::atomic<pid_t> forked_from{0};

void noteUsesOfParent() noexcept {
  if (std::exchange(uses, 0) > 0) forked_from.store(getppid(), std::memory_order_relaxed);
}

[[maybe_unused]] const int fork_handler = pthread_atfork(nullptr, nullptr, noteUsesOfParent);

/// UCX serves connections in a thread that a child does not have, and has the child share its epoll set with the
/// parent: over tcp the child would wait forever, and the parent's thread would turn without a pause over the child's
/// events.
void refuseInChild() {
  const pid_t parent = forked_from.load(std::memory_order_relaxed);
  if (parent == 0) return;
  throw Error(signcclInvalidUsage,
              "process " + std::to_string(getpid()) + " was forked from process " + std::to_string(parent) +
                  " while that had a communicator of several processes, and cannot use UCX itself; expected a process "
                  "that is started with exec (in Python: the start method 'spawn'), or forked before");
}

ProcessUcx& thisProcess() {
  static constinit PerProcess<ProcessUcx> ucx;
  return ucx.get();
}

const UcxLibrary& libraryLocked(ProcessUcx& process, const std::string& ucx_library) {
  if (!process.library) {
    const UcxContext::Use loading;
    process.library.emplace(loadUcx(ucx_library));
  }
  return *process.library;
}

}  // namespace

UcxContext::Use::Use() {
  refuseInChild();
  const std::lock_guard lock(processMutex(ProcessLock::kUcxUses));
  ++uses;
}

UcxContext::Use::~Use() {
  const std::lock_guard lock(processMutex(ProcessLock::kUcxUses));
  --uses;
}

UcxContext::UcxContext(const UcxLibrary& library, const std::string& net_devices) : library_(library) {
  requireDescriptors(kUcxDescriptors);
  Config config(library);
  config.apply(net_devices);
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_MT_WORKERS_SHARED | UCP_PARAM_FIELD_NAME;
  params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  params.mt_workers_shared = 1;
  params.name = "signccl";
  const SignalKeeper keeper;
  checkUcx(ucx(), ucx().ucp_init_version(kUcxMajor, kOldestUcxMinor, &params, config.get(), &context_), "ucp_init");
  log(LogLevel::kInfo, Subsystem::kNet, kNoRank, "UCX ", library.version, ", devices ",
      net_devices.empty() ? "as UCX chooses" : net_devices);
}

UcxContext::~UcxContext() { ucx().ucp_cleanup(context_); }

std::shared_ptr<UcxContext> UcxContext::open(const std::string& net_devices, const std::string& ucx_library) {
  ProcessUcx& process = thisProcess();
  const std::lock_guard lock(process.mutex);
  std::weak_ptr<UcxContext>& known = process.contexts[net_devices];
  std::shared_ptr<UcxContext> context = known.lock();
  if (!context) {
    context = std::make_shared<UcxContext>(libraryLocked(process, ucx_library), net_devices);
    known = context;
  }
  return context;
}

const UcxLibrary& ucxLibrary(const std::string& ucx_library) {
  ProcessUcx& process = thisProcess();
  const std::lock_guard lock(process.mutex);
  return libraryLocked(process, ucx_library);
}

}  // namespace signccl
