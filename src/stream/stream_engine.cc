// SPDX-License-Identifier: Apache-2.0
#include "stream/stream_engine.h"

#include <algorithm>

namespace signccl {

std::vector<std::exception_ptr> enqueueBacks(std::span<EngineCall* const> calls) {
  std::vector<std::exception_ptr> errors(calls.size());
  std::vector<bool> has_more(calls.size(), true);
  const auto for_all = [&](auto&& step) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (!has_more[i]) continue;
      try {
        has_more[i] = step(*calls[i]);
      } catch (...) {
        errors[i] = std::current_exception();
        has_more[i] = false;
      }
    }
  };
  while (std::find(has_more.begin(), has_more.end(), true) != has_more.end()) {
    const std::vector<bool> were_open(has_more.begin(), has_more.end());
    for_all([](EngineCall& call) {
      call.open();
      return true;
    });
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (were_open[i]) calls[i]->close();
    }
    for_all([](EngineCall& call) { return call.enqueueRound(); });
  }
  return errors;
}

}  // namespace signccl
