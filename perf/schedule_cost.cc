// SPDX-License-Identifier: Apache-2.0
// schedule_cost: what every algorithm costs, from its schedules and from the cost model; nothing is run.
//
//   schedule_cost --ranks 8 64 --count 1e6 --op vote         steps, messages, bytes and modelled time
//   schedule_cost --wire                                     bits per element that the busiest rank sends, as a table
//   schedule_cost --pays --ranks 64 --mbit 25000 --count 1e9 a vote beside all-reduces that sum, and steps of training
#include <algorithm>
#include <string>
#include <vector>

#include "schedule_cost/costs.h"
#include "schedule_cost/options.h"
#include "schedule_cost/pays.h"

int main(int argc, char** argv) {
  CLI::App app(
      "Steps, messages, bytes sent and modelled time of every algorithm. Steps, messages and bytes are those of the "
      "busiest rank, bits are per element; NIC bits are what the ranks of the busiest node send to other nodes.",
      "schedule_cost");
  signccl::perf::CostOptions options;
  addOptions(app, options);
  try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    std::ranges::reverse(arguments);  // the order in which CLI11 takes a vector
    app.parse(arguments);
    requireThatOptionsFit(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (options.pays) {
    printPays(options);
  } else if (options.wire) {
    printWire(options);
  } else {
    printCosts(options);
  }
  return 0;
}
