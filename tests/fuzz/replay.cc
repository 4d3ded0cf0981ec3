// SPDX-License-Identifier: Apache-2.0
// Runs a fuzzing target without a fuzzer: over its seeds and, with a fixed seed of random numbers, over thousands of
// mutations of them. With a folder as argument, writes the seeds there instead, for libFuzzer to begin with; with
// files, tries those.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>

#include "fuzz/fuzz.h"

namespace signccl {
namespace {

constexpr int kMutations = 5000;
constexpr std::size_t kLongest = 4096;

void tryOne(const std::string& input) {
  // Memory of exactly that size, so that a sanitizer sees a read beyond it.
  const std::vector<std::uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

class Mutator {
 public:
  explicit Mutator(std::vector<std::string> seeds) : seeds_(std::move(seeds)) {}

  std::string next() {
    std::string input = anySeed();
    for (std::size_t i = below(4) + 1; i > 0; --i) mutate(input);
    if (input.size() > kLongest) input.resize(kLongest);
    return input;
  }

 private:
  void mutate(std::string& input) {
    const std::size_t place = below(input.size() + 1);
    switch (below(5)) {
      case 0:
        return input.resize(place);
      case 1:
        input.insert(place, below(9), static_cast<char>(below(256)));
        return;
      case 2:
        input.erase(place, below(9));
        return;
      case 3:
        input.resize(place);
        input += anySeed().substr(0, below(200));
        return;
      default:
        constexpr unsigned char kEdges[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
        if (place < input.size()) input[place] = static_cast<char>(below(2) == 0 ? kEdges[below(5)] : below(256));
    }
  }
  const std::string& anySeed() { return seeds_[below(seeds_.size())]; }
  std::size_t below(std::size_t limit) { return random_() % limit; }

  std::vector<std::string> seeds_;
  std::mt19937 random_{7};
};

void writeSeeds(const std::filesystem::path& folder) {
  const std::vector<std::string> seeds = fuzzSeeds();
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    std::ofstream(folder / ("seed" + std::to_string(i)), std::ios::binary) << seeds[i];
  }
}

int replay(int argc, char** argv) {
  if (argc == 2 && std::filesystem::is_directory(argv[1])) {
    writeSeeds(argv[1]);
    return 0;
  }
  for (int i = 1; i < argc; ++i) {
    std::ostringstream input;
    input << std::ifstream(argv[i], std::ios::binary).rdbuf();
    tryOne(input.str());
  }
  if (argc > 1) return 0;
  const std::vector<std::string> seeds = fuzzSeeds();
  tryOne("");
  std::ranges::for_each(seeds, tryOne);
  Mutator mutator(seeds);
  for (int i = 0; i < kMutations; ++i) tryOne(mutator.next());
  std::cout << seeds.size() << " seeds, " << kMutations << " mutations\n";
  return 0;
}

}  // namespace
}  // namespace signccl

int main(int argc, char** argv) { return signccl::replay(argc, argv); }
