// SPDX-License-Identifier: Apache-2.0
// The UCX library, which SignCCL is not linked with: found and loaded when ranks turn out to be several processes.
#ifndef SIGNCCL_TRANSPORT_UCX_UCX_LIBRARY_H_
#define SIGNCCL_TRANSPORT_UCX_UCX_LIBRARY_H_

#include <string>

#include <ucp/api/ucp.h>

namespace signccl {

/// The versions that are understood: from 1.13 on, and nothing is used that 1.13 does not have.
inline constexpr unsigned kUcxMajor = 1;
inline constexpr unsigned kOldestUcxMinor = 13;

/// The functions of UCX that are used, each under its own name. ucp_init() is an inline function over
/// ucp_init_version().
struct UcxFunctions {
  decltype(&::ucp_am_data_release) ucp_am_data_release;
  decltype(&::ucp_am_recv_data_nbx) ucp_am_recv_data_nbx;
  decltype(&::ucp_am_send_nbx) ucp_am_send_nbx;
  decltype(&::ucp_cleanup) ucp_cleanup;
  decltype(&::ucp_config_modify) ucp_config_modify;
  decltype(&::ucp_config_read) ucp_config_read;
  decltype(&::ucp_config_release) ucp_config_release;
  decltype(&::ucp_ep_close_nbx) ucp_ep_close_nbx;
  decltype(&::ucp_ep_create) ucp_ep_create;
  decltype(&::ucp_init_version) ucp_init_version;
  decltype(&::ucp_request_check_status) ucp_request_check_status;
  decltype(&::ucp_request_free) ucp_request_free;
  decltype(&::ucp_worker_arm) ucp_worker_arm;
  decltype(&::ucp_worker_create) ucp_worker_create;
  decltype(&::ucp_worker_destroy) ucp_worker_destroy;
  decltype(&::ucp_worker_flush_nbx) ucp_worker_flush_nbx;
  decltype(&::ucp_worker_get_efd) ucp_worker_get_efd;
  decltype(&::ucp_worker_progress) ucp_worker_progress;
  decltype(&::ucp_worker_query) ucp_worker_query;
  decltype(&::ucp_worker_release_address) ucp_worker_release_address;
  decltype(&::ucp_worker_set_am_recv_handler) ucp_worker_set_am_recv_handler;
  decltype(&::ucs_status_string) ucs_status_string;
};

/// A loaded UCX; it is never unloaded.
struct UcxLibrary {
  UcxFunctions functions{};
  std::string file;     ///< of libucp, as it was loaded
  unsigned minor = 0;   ///< of the version
  std::string version;  ///< e.g. "1.13.1"
};

/// Loads UCX, or takes the one that is already loaded: two of them in one process hang or crash. The first of these
/// that there is:
///
///   1. the UCX that is loaded in the process, by PyTorch, Open MPI, Python's libucx or as a dependency of the program;
///   2. `wanted`, the value of SIGNCCL_UCX_LIBRARY: the path of libucp.so.0 or of the folder that holds it; may be
///   empty;
///   3. libucp.so.0 where the dynamic linker finds it.
///
/// Says in the log which one and why, and warns if 1 differs from `wanted`. Leaves the signals of the process alone
/// (SignalKeeper). Throws signcclInvalidUsage if `wanted` cannot be loaded, and signcclSystemError, with what to
/// install, if there is no UCX, or one that is older than 1.13 or lacks a function. One call at a time.
UcxLibrary loadUcx(const std::string& wanted);

/// Descriptors that must be free where UCX makes a context or a worker: what these open by themselves and for their
/// first peers, with room to spare. Where UCX gets none halfway it ends the process.
inline constexpr std::size_t kUcxDescriptors = 24;

/// Throws signcclSystemError naming `call`, and `cause` where it is known, unless `status` is UCS_OK.
void checkUcx(const UcxFunctions& ucx, ucs_status_t status, const char* call, const std::string& cause = {});

}  // namespace signccl

#endif  // SIGNCCL_TRANSPORT_UCX_UCX_LIBRARY_H_
