// SPDX-License-Identifier: Apache-2.0
#include "data.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <numeric>
#include <stdexcept>

namespace digits {
namespace {

constexpr int kLargestPixel = 16;
constexpr std::size_t kFolds = 5;

/// Reads exactly `fields.size()` comma-separated integers; false if `line` holds anything else.
bool parseLine(const std::string& line, std::span<int> fields) {
  const char* at = line.data();
  const char* const end = at + line.size();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto [after, error] = std::from_chars(at, end, fields[i]);
    const bool last = i + 1 == fields.size();
    if (error != std::errc() || (last ? after != end : after == end || *after != ',')) return false;
    at = last ? after : after + 1;
  }
  return true;
}

bool inRange(int value, int largest) { return value >= 0 && value <= largest; }

/// Pixels to the right and down; to the left and up modulo 2^64, as unsigned numbers count.
struct Move {
  std::size_t right;
  std::size_t down;
};

constexpr std::size_t kBack = std::size_t{0} - 1;
constexpr std::array<Move, 5> kMoves = {{{0, 0}, {kBack, 0}, {1, 0}, {0, kBack}, {0, 1}}};

/// The image moved; pixels that come from outside are 0.
std::array<float, kPixels> moved(std::span<const float> image, Move move) {
  std::array<float, kPixels> result{};
  for (std::size_t y = 0; y < kSide; ++y) {
    for (std::size_t x = 0; x < kSide; ++x) {
      // One below 0 wraps round to a number above kSide.
      const std::size_t from_x = x - move.right;
      const std::size_t from_y = y - move.down;
      if (from_x < kSide && from_y < kSide) result[y * kSide + x] = image[from_y * kSide + from_x];
    }
  }
  return result;
}

}  // namespace

void Digits::add(std::span<const float> image, std::uint8_t label) {
  pixels.insert(pixels.end(), image.begin(), image.end());
  labels.push_back(label);
}

Digits readDigits(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  Digits all;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    std::array<int, kPixels + 1> fields{};
    const int& label = fields.back();
    const auto pixels = std::span(fields).first<kPixels>();
    if (!parseLine(line, fields) || !inRange(label, kClasses - 1) ||
        !std::ranges::all_of(pixels, [](int pixel) { return inRange(pixel, kLargestPixel); })) {
      throw std::runtime_error(path + ":" + std::to_string(number) +
                               ": expected 64 pixels from 0 to 16 and a label from 0 to 9");
    }
    std::array<float, kPixels> image{};
    std::ranges::transform(pixels, image.begin(),
                           [](int pixel) { return static_cast<float>(pixel) / static_cast<float>(kLargestPixel); });
    all.add(image, static_cast<std::uint8_t>(label));
  }
  if (all.size() == 0) throw std::runtime_error(path + " is empty");
  return all;
}

Split splitDigits(const Digits& all, HeldOut held_out) {
  constexpr std::size_t kTestFold = 4;
  constexpr std::size_t kValidationFold = 3;
  Split split;
  std::array<std::size_t, kClasses> seen{};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t fold = seen[all.labels[i]]++ % kFolds;
    const bool validating = held_out == HeldOut::kValidation;
    if (fold == (validating ? kValidationFold : kTestFold)) {
      split.held_out.add(all.image(i), all.labels[i]);
    } else if (fold != kTestFold) {
      split.training.add(all.image(i), all.labels[i]);
    }
  }
  return split;
}

std::vector<Digits> shardDigits(const Digits& all, Sharding sharding, int nshards, std::uint64_t seed) {
  if (sharding == Sharding::kWhole) return std::vector<Digits>(static_cast<std::size_t>(nshards), all);
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937_64 random(seed);
  std::ranges::shuffle(order, random);
  std::vector<Digits> shards(static_cast<std::size_t>(nshards));
  for (std::size_t i = 0; i < order.size(); ++i) {
    shards[i % shards.size()].add(all.image(order[i]), all.labels[order[i]]);
  }
  return shards;
}

BatchSampler::BatchSampler(const Digits& source, std::size_t batch, std::uint64_t seed)
    : source_(source), batch_size_(batch), order_(source.size()), position_(source.size()), random_(seed) {
  if (source.size() == 0) throw std::invalid_argument("a worker has no digits to train on");
  std::iota(order_.begin(), order_.end(), std::size_t{0});
}

std::size_t BatchSampler::draw() {
  if (position_ == order_.size()) {
    std::ranges::shuffle(order_, random_);
    position_ = 0;
  }
  return order_[position_++];
}

const Digits& BatchSampler::next() {
  batch_.pixels.clear();
  batch_.labels.clear();
  for (std::size_t i = 0; i < batch_size_; ++i) {
    const std::size_t index = draw();
    const Move move = kMoves[random_() % kMoves.size()];
    batch_.add(moved(source_.image(index), move), source_.labels[index]);
  }
  return batch_;
}

}  // namespace digits
