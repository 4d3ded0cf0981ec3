// SPDX-License-Identifier: Apache-2.0
// Captures, graphs, and what graphs keep alive.
#include <algorithm>
#include <utility>

#include "fake_cuda/driver_api.h"
#include "fake_cuda/streams.h"

namespace fake_cuda {

void joinCapture(CUstream_st& stream, const CUevent_st& event) {
  Capture& capture = *event.capture;
  expect(!capture.is_invalidated, CudaResult::kStreamCaptureInvalidated);
  expect(stream.capture == nullptr || stream.capture == &capture, CudaResult::kStreamCaptureMerge);
  if (stream.capture == nullptr) {
    stream.capture = &capture;
    stream.tail.clear();
    stream.branch = capture.graph->branches++;
    capture.streams.insert(&stream);
    capture.unjoined.insert(&stream);
  }
  stream.tail.insert(stream.tail.end(), event.tail.begin(), event.tail.end());
  if (&stream == capture.origin) capture.unjoined.erase(event.stream);
}

namespace {

/// References that graphs held, and those that nobody holds any more, to be destroyed without the lock.
std::vector<UserObject> giveUp(State& state, const std::vector<CUuserObject_st*>& kept) {
  std::vector<UserObject> unused;
  for (CUuserObject_st* const object : kept) {
    if (--object->references > 0) continue;
    unused.push_back(*object);
    state.user_objects.erase(object);
  }
  return unused;
}

/// Destroys objects in a thread of the driver, after the last launch of the graph that kept them.
void destroyLater(State& state, std::vector<UserObject> unused,
                  const std::shared_ptr<Completion>& last_launch = nullptr) {
  if (unused.empty()) return;
  if (state.callbacks == nullptr) state.callbacks = std::make_unique<Queue>(0);
  std::vector<std::shared_ptr<Completion>> after;
  if (last_launch != nullptr) after.push_back(last_launch);
  state.callbacks->push({.after = std::move(after),
                         .is_cancelled = [] { return false; },
                         .body =
                             [unused = std::move(unused)](const auto& /*is_cancelled*/) {
                               for (const UserObject& object : unused) object.destroy(object.pointer);
                             },
                         .done = std::make_shared<Completion>()});
}

void endCapture(State& state, const Capture* capture) {
  for (CUstream_st* const stream : capture->streams) {
    stream->capture = nullptr;
    stream->tail.clear();
    stream->branch = 0;
  }
  for (const auto& [handle, event] : state.events) {
    if (event->capture == capture) event->capture = nullptr;
  }
  std::erase_if(state.captures, [&](const auto& known) { return known.get() == capture; });
}

/// Puts all operations of a graph on streams: a branch each, the first on the stream of the launch. An operation of
/// another branch waits for those of the graph that it needs, and for what was on the stream before the launch.
void launch(CUgraphExec_st& exec, const std::shared_ptr<CUstream_st>& stream) {
  const auto nothing = [](const auto& /*is_cancelled*/) {};
  std::vector<std::shared_ptr<Completion>> before;
  if (exec.last != nullptr) before.push_back(exec.last);
  const auto start = enqueueTask(stream, before, nothing);
  std::vector<std::shared_ptr<Completion>> done;
  for (const Node& node : exec.nodes) {
    const auto& on = node.branch == 0 ? stream : exec.branches[node.branch - 1];
    std::vector<std::shared_ptr<Completion>> after{start};
    for (const std::size_t needed : node.after) after.push_back(done[needed]);
    done.push_back(enqueueTask(on, std::move(after), node.body));
  }
  exec.last = enqueueTask(stream, std::move(done), nothing);
}

}  // namespace
}  // namespace fake_cuda

namespace signccl {

using fake_cuda::call;
using fake_cuda::Call;
using fake_cuda::Capture;
using fake_cuda::expect;
using fake_cuda::Needs;
using fake_cuda::objectOf;

CudaResult cuStreamBeginCapture_v2(CudaStream stream, CudaCaptureMode mode) {
  return call("cuStreamBeginCapture_v2", Needs::kContext, [&](Call& c) {
    expect(stream != nullptr && stream != cudaLegacyStream(), CudaResult::kStreamCaptureUnsupported);
    const auto found = streamOf(c, stream);
    expect(found->capture == nullptr, CudaResult::kIllegalState);
    auto capture = std::make_unique<Capture>();
    capture->id = ++c.state.captures_made;
    capture->mode = mode;
    capture->thread = std::this_thread::get_id();
    capture->origin = found.get();
    capture->graph = std::make_unique<CUgraph_st>();
    capture->streams.insert(found.get());
    found->capture = capture.get();
    c.state.captures.push_back(std::move(capture));
  });
}

CudaResult cuStreamEndCapture(CudaStream stream, CudaGraph* graph) {
  return call("cuStreamEndCapture", Needs::kContext, [&](Call& c) {
    *graph = nullptr;
    const auto found = streamOf(c, stream);
    Capture* const capture = found->capture;
    expect(capture != nullptr, CudaResult::kIllegalState);
    expect(capture->origin == found.get(), CudaResult::kStreamCaptureUnmatched);
    expect(capture->mode == CudaCaptureMode::kRelaxed || capture->thread == std::this_thread::get_id(),
           CudaResult::kStreamCaptureWrongThread);
    const bool is_whole = capture->unjoined.empty();
    const bool is_valid = !capture->is_invalidated;
    std::unique_ptr<CUgraph_st> made = std::move(capture->graph);
    fake_cuda::endCapture(c.state, capture);
    if (!is_valid || !is_whole) {
      fake_cuda::destroyLater(c.state, fake_cuda::giveUp(c.state, made->kept));
      expect(is_valid, CudaResult::kStreamCaptureInvalidated);
      expect(is_whole, CudaResult::kStreamCaptureUnjoined);
    }
    *graph = made.get();
    c.state.graphs[made.get()] = std::move(made);
  });
}

CudaResult cuStreamIsCapturing(CudaStream stream, CudaCaptureStatus* status) {
  return call("cuStreamIsCapturing", Needs::kContext, [&](Call& c) {
    const Capture* const capture = streamOf(c, stream)->capture;
    *status = capture == nullptr        ? CudaCaptureStatus::kNone
              : capture->is_invalidated ? CudaCaptureStatus::kInvalidated
                                        : CudaCaptureStatus::kActive;
  });
}

/// Nodes have no handles here: no dependencies are told.
CudaResult cuStreamGetCaptureInfo_v2(CudaStream stream, CudaCaptureStatus* status, unsigned long long* id,
                                     CudaGraph* graph, const CudaGraphNode** dependencies, std::size_t* ndependencies) {
  return call("cuStreamGetCaptureInfo_v2", Needs::kContext, [&](Call& c) {
    expect(dependencies == nullptr && ndependencies == nullptr, CudaResult::kNotSupported);
    const Capture* const capture = streamOf(c, stream)->capture;
    *status = capture == nullptr        ? CudaCaptureStatus::kNone
              : capture->is_invalidated ? CudaCaptureStatus::kInvalidated
                                        : CudaCaptureStatus::kActive;
    if (*status != CudaCaptureStatus::kActive) return;
    if (id != nullptr) *id = capture->id;
    if (graph != nullptr) *graph = capture->graph.get();
  });
}

CudaResult cuThreadExchangeStreamCaptureMode(CudaCaptureMode* mode) {
  return call("cuThreadExchangeStreamCaptureMode", Needs::kInit,
              [&](Call& /*c*/) { std::swap(*mode, fake_cuda::captureModeOfThread()); });
}

CudaResult cuGraphInstantiateWithFlags(CudaGraphExec* exec, CudaGraph graph, unsigned long long flags) {
  return call("cuGraphInstantiateWithFlags", Needs::kContext, [&](Call& c) {
    expect(flags == 0, CudaResult::kInvalidValue);
    const CUgraph_st& found = *objectOf(c.state.graphs, graph);
    auto made = std::make_unique<CUgraphExec_st>();
    made->context = c.context;
    made->nodes = found.nodes;
    for (std::size_t i = 1; i < found.branches; ++i) made->branches.push_back(makeStream(c, *c.context, false));
    made->kept = found.kept;
    for (CUuserObject_st* const object : made->kept) ++object->references;
    *exec = made.get();
    c.state.execs[made.get()] = std::move(made);
  });
}

CudaResult cuGraphLaunch(CudaGraphExec exec, CudaStream stream) {
  return call("cuGraphLaunch", Needs::kContext, [&](Call& c) {
    CUgraphExec_st& found = *objectOf(c.state.execs, exec);
    const auto on = streamOf(c, stream);
    expect(on->capture == nullptr, CudaResult::kNotSupported);  // a graph within a graph
    fake_cuda::launch(found, on);
  });
}

CudaResult cuGraphExecDestroy(CudaGraphExec exec) {
  return call("cuGraphExecDestroy", Needs::kInit, [&](Call& c) {
    const CUgraphExec_st& found = *objectOf(c.state.execs, exec);
    fake_cuda::destroyLater(c.state, fake_cuda::giveUp(c.state, found.kept), found.last);
    c.state.execs.erase(exec);
  });
}

CudaResult cuGraphDestroy(CudaGraph graph) {
  return call("cuGraphDestroy", Needs::kInit, [&](Call& c) {
    fake_cuda::destroyLater(c.state, fake_cuda::giveUp(c.state, objectOf(c.state.graphs, graph)->kept));
    c.state.graphs.erase(graph);
  });
}

CudaResult cuUserObjectCreate(CudaUserObject* object, void* pointer, CudaHostFunction destroy, unsigned int references,
                              unsigned int flags) {
  return call("cuUserObjectCreate", Needs::kInit, [&](Call& c) {
    expect(flags == kCudaUserObjectNoDestructorSync && references > 0, CudaResult::kInvalidValue);
    auto made = std::make_unique<CUuserObject_st>();
    made->pointer = pointer;
    made->destroy = destroy;
    made->references = references;
    *object = made.get();
    c.state.user_objects[made.get()] = std::move(made);
  });
}

CudaResult cuUserObjectRelease(CudaUserObject object, unsigned int count) {
  return call("cuUserObjectRelease", Needs::kInit, [&](Call& c) {
    expect(objectOf(c.state.user_objects, object)->references >= count, CudaResult::kInvalidValue);
    fake_cuda::destroyLater(c.state, fake_cuda::giveUp(c.state, std::vector<CUuserObject_st*>(count, object)));
  });
}

CudaResult cuGraphRetainUserObject(CudaGraph graph, CudaUserObject object, unsigned int count, unsigned int flags) {
  return call("cuGraphRetainUserObject", Needs::kInit, [&](Call& c) {
    CUuserObject_st& found = *objectOf(c.state.user_objects, object);
    CUgraph_st* target = nullptr;
    for (const auto& capture : c.state.captures) {
      if (capture->graph.get() == graph) target = graph;
    }
    if (target == nullptr) target = objectOf(c.state.graphs, graph).get();
    target->kept.insert(target->kept.end(), count, &found);
    if (flags != kCudaGraphUserObjectMove) found.references += count;
  });
}

}  // namespace signccl
