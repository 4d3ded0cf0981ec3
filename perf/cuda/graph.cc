// SPDX-License-Identifier: Apache-2.0
#include "cuda/graph.h"

#include "cuda/driver.h"

namespace signccl::perf {
namespace {

struct GraphFunctions {
  CudaResult (*begin_capture)(CudaStream stream, CudaCaptureMode mode);
  CudaResult (*end_capture)(CudaStream stream, CudaGraph* graph);
  CudaResult (*instantiate)(CudaGraphExec* exec, CudaGraph graph, unsigned long long flags);
  CudaResult (*destroy)(CudaGraph graph);
  CudaResult (*launch)(CudaGraphExec exec, CudaStream stream);
  CudaResult (*destroy_exec)(CudaGraphExec exec);
};

template <typename Function>
void find(const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(driverFunction(symbol));
}

const GraphFunctions& functions() {
  static const GraphFunctions found = [] {
    GraphFunctions all{};
    find("cuStreamBeginCapture_v2", all.begin_capture);
    find("cuStreamEndCapture", all.end_capture);
    find("cuGraphInstantiateWithFlags", all.instantiate);
    find("cuGraphDestroy", all.destroy);
    find("cuGraphLaunch", all.launch);
    find("cuGraphExecDestroy", all.destroy_exec);
    return all;
  }();
  return found;
}

}  // namespace

Graph::Graph(CudaStream stream, const std::function<void()>& enqueue) {
  CudaGraph graph = nullptr;
  requireSuccess(functions().begin_capture(stream, CudaCaptureMode::kThreadLocal), "cuStreamBeginCapture");
  try {
    enqueue();
  } catch (...) {
    functions().end_capture(stream, &graph);
    if (graph != nullptr) functions().destroy(graph);
    throw;
  }
  requireSuccess(functions().end_capture(stream, &graph), "cuStreamEndCapture");
  const CudaResult result = functions().instantiate(&exec_, graph, 0);
  functions().destroy(graph);
  requireSuccess(result, "cuGraphInstantiateWithFlags");
}

Graph::~Graph() {
  if (exec_ != nullptr) functions().destroy_exec(exec_);
}

void Graph::launch(CudaStream stream) const { requireSuccess(functions().launch(exec_, stream), "cuGraphLaunch"); }

}  // namespace signccl::perf
