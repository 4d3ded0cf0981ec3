// The UCX library as SignCCL sets it up: one context for each process and choice of devices.
#ifndef SIGNCCL_TRANSPORT_UCX_UCX_CONTEXT_H_
#define SIGNCCL_TRANSPORT_UCX_UCX_CONTEXT_H_

#include <memory>
#include <string>

#include <ucp/api/ucp.h>

namespace signccl {

/// Throws signcclSystemError naming `call` unless `status` is UCS_OK.
void checkUcx(ucs_status_t status, const char* call);

/// Owns a ucp_context_h. Thread-safe: its workers may be used by different threads.
class UcxContext {
 public:
  /// The context of this process that uses `net_devices`, a list as in UCX_NET_DEVICES; empty: as UCX chooses. Made at
  /// the first call and again after the last user is gone. UCX_* variables of the user win over our settings. Throws
  /// Error.
  static std::shared_ptr<UcxContext> open(const std::string& net_devices);

  explicit UcxContext(const std::string& net_devices);
  ~UcxContext() { ucp_cleanup(context_); }
  UcxContext(const UcxContext&) = delete;
  UcxContext& operator=(const UcxContext&) = delete;

  [[nodiscard]] ucp_context_h get() const { return context_; }

 private:
  ucp_context_h context_ = nullptr;
};

/// Version of the loaded library, e.g. "1.13.1".
std::string ucxVersion();

}  // namespace signccl

#endif  // SIGNCCL_TRANSPORT_UCX_UCX_CONTEXT_H_
