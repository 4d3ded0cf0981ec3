#include "transport/ucx/ucx_context.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>

#include "base/error.h"
#include "base/log.h"

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

bool hasPlainKeys() {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;
  ucp_get_version(&major, &minor, &release);
  return major == 1 && minor < 17;
}

/// UCX warns, for each worker, of settings that no transport of UCX_TLS reads.
bool allowsSharedMemory() {
  const char* const allowed = std::getenv("UCX_TLS");
  if (allowed == nullptr || *allowed == '^') return true;
  constexpr std::string_view kNames[] = {"all", "sm", "shm", "mm", "posix", "sysv", "xpmem"};
  return std::ranges::any_of(
      kNames, [&](std::string_view name) { return std::string_view(allowed).find(name) != std::string_view::npos; });
}

void set(ucp_config_t* config, const char* key, const char* value) {
  const ucs_status_t status = ucp_config_modify(config, key, value);
  if (status == UCS_OK) return;
  log(LogLevel::kWarn, Subsystem::kNet, kNoRank, "UCX takes no setting ", key, "=", value, ": ",
      ucs_status_string(status));
}

void applySettings(ucp_config_t* config, const std::string& net_devices) {
  for (const UcxSetting& setting : kSettings) {
    if (std::getenv(setting.variable) != nullptr) continue;
    if (setting.old_key == std::string_view("MM_ERROR_HANDLING") && !allowsSharedMemory()) continue;
    const std::string_view variable = setting.variable;
    const char* const new_key = variable.substr(std::string_view("UCX_").size()).data();
    set(config, hasPlainKeys() ? setting.old_key : new_key, setting.value);
  }
  if (!net_devices.empty() && std::getenv("UCX_NET_DEVICES") == nullptr) {
    set(config, "NET_DEVICES", net_devices.c_str());
  }
}

struct ConfigDeleter {
  void operator()(ucp_config_t* config) const { ucp_config_release(config); }
};

}  // namespace

void checkUcx(ucs_status_t status, const char* call) {
  if (status == UCS_OK) return;
  throw Error(signcclSystemError, std::string(call) + " failed: " + ucs_status_string(status));
}

UcxContext::UcxContext(const std::string& net_devices) {
  ucp_config_t* read = nullptr;
  checkUcx(ucp_config_read(nullptr, nullptr, &read), "ucp_config_read");
  const std::unique_ptr<ucp_config_t, ConfigDeleter> config(read);
  applySettings(config.get(), net_devices);
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_MT_WORKERS_SHARED | UCP_PARAM_FIELD_NAME;
  params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  params.mt_workers_shared = 1;
  params.name = "signccl";
  checkUcx(ucp_init(&params, config.get(), &context_), "ucp_init");
  log(LogLevel::kInfo, Subsystem::kNet, kNoRank, "UCX ", ucxVersion(), ", devices ",
      net_devices.empty() ? "as UCX chooses" : net_devices);
}

std::shared_ptr<UcxContext> UcxContext::open(const std::string& net_devices) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<UcxContext>> open_contexts;
  const std::lock_guard lock(mutex);
  std::weak_ptr<UcxContext>& known = open_contexts[net_devices];
  std::shared_ptr<UcxContext> context = known.lock();
  if (!context) {
    context = std::make_shared<UcxContext>(net_devices);
    known = context;
  }
  return context;
}

std::string ucxVersion() { return ucp_get_version_string(); }

}  // namespace signccl
