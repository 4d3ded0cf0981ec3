// SPDX-License-Identifier: Apache-2.0
#include "stream/captured_graphs.h"

#include <algorithm>
#include <utility>

namespace signccl {

void CapturedGraphs::add(std::shared_ptr<CapturedCall> call) {
  const std::lock_guard lock(mutex_);
  auto graph = std::ranges::find(graphs_, call->capture(), &Graph::capture);
  if (graph == graphs_.end()) graph = graphs_.insert(graphs_.end(), Graph{call->capture(), {}, 0});
  graph->calls.push_back(std::move(call));
}

std::shared_ptr<CapturedCall> CapturedGraphs::posted() {
  const std::lock_guard lock(mutex_);
  removeDropped();
  for (const Graph& graph : graphs_) {
    if (graph.calls[graph.next]->isPosted()) return graph.calls[graph.next];
  }
  return nullptr;
}

void CapturedGraphs::passOn(const CapturedCall& call) {
  const std::lock_guard lock(mutex_);
  const auto graph = std::ranges::find(graphs_, call.capture(), &Graph::capture);
  if (graph != graphs_.end()) graph->next = (graph->next + 1) % graph->calls.size();
}

bool CapturedGraphs::hasWaiting() {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(graphs_, [](const Graph& graph) {
    return !graph.calls[graph.next]->isPosted() &&
           std::ranges::any_of(graph.calls, [](const auto& call) { return call->isPosted(); });
  });
}

bool CapturedGraphs::failPosted() {
  const std::lock_guard lock(mutex_);
  removeDropped();
  bool was_posted = false;
  for (const Graph& graph : graphs_) {
    for (const auto& call : graph.calls) was_posted = call->failPosted() || was_posted;
  }
  return was_posted;
}

bool CapturedGraphs::isEmpty() {
  const std::lock_guard lock(mutex_);
  removeDropped();
  return graphs_.empty();
}

std::size_t CapturedGraphs::bytes() {
  const std::lock_guard lock(mutex_);
  removeDropped();
  std::size_t bytes = 0;
  for (const Graph& graph : graphs_) {
    for (const auto& call : graph.calls) bytes += call->memory()->bytes();
  }
  return bytes;
}

/// All calls of a graph are dropped at about the same time, when no replay will come any more.
void CapturedGraphs::removeDropped() {
  for (Graph& graph : graphs_) {
    const std::size_t ndropped = std::erase_if(graph.calls, [](const auto& call) { return call->isDropped(); });
    if (ndropped > 0) graph.next = 0;
  }
  std::erase_if(graphs_, [](const Graph& graph) { return graph.calls.empty(); });
}

}  // namespace signccl
