// SPDX-License-Identifier: Apache-2.0
#include "cuda/range.h"

#if defined(SIGNCCL_HAS_NVTX)
#include <nvtx3/nvToolsExt.h>
#endif

namespace signccl::perf {

// The header loads the profiler's library when the first range begins, and does nothing where no profiler is attached.
#if defined(SIGNCCL_HAS_NVTX)
Range::Range(const std::string& name) { nvtxRangePushA(name.c_str()); }
Range::~Range() { nvtxRangePop(); }
#else
Range::Range(const std::string& /*name*/) {}
Range::~Range() = default;
#endif

}  // namespace signccl::perf
