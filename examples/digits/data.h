// SPDX-License-Identifier: Apache-2.0
// The digits: reading them, holding some out, sharing the rest among workers, drawing batches.
#ifndef DIGITS_DATA_H_
#define DIGITS_DATA_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace digits {

inline constexpr std::size_t kSide = 8;
inline constexpr std::size_t kPixels = kSide * kSide;
inline constexpr std::size_t kClasses = 10;

/// Images and their labels, in order.
struct Digits {
  std::vector<float> pixels;         ///< [size() * kPixels], 0 to 1
  std::vector<std::uint8_t> labels;  ///< [size()], 0 to 9

  [[nodiscard]] std::size_t size() const { return labels.size(); }
  [[nodiscard]] std::span<const float> image(std::size_t i) const { return {&pixels[i * kPixels], kPixels}; }
  void add(std::span<const float> image, std::uint8_t label);
};

/// Reads lines of 64 pixels (0 to 16) and a label. Throws std::runtime_error that names the file and the line.
Digits readDigits(const std::string& path);

/// Which digits measure the accuracy, and so are never trained on.
enum class HeldOut : std::uint8_t {
  kTest,        ///< a fifth of each class; the rest is trained on
  kValidation,  ///< another fifth, to choose settings with; neither fifth is trained on
};

struct Split {
  Digits training;
  Digits held_out;
};

/// Splits by position within each class, the same in every run: no seed changes what is held out.
Split splitDigits(const Digits& all, HeldOut held_out);

/// What of the training digits a worker sees.
enum class Sharding : std::uint8_t {
  kOwn,  ///< a part of its own: the workers' gradients differ in what they have seen, the more so the smaller the parts
  kWhole,  ///< all of them, in an order of its own: the gradients differ by chance alone, as the theory assumes
};

/// Gives each of `nshards` workers its digits. Own parts are dealt after a shuffle by `seed`; sizes differ by at
/// most 1.
std::vector<Digits> shardDigits(const Digits& all, Sharding sharding, int nshards, std::uint64_t seed);

/// Draws batches from a set of digits, each digit once before any comes again. A drawn image is left in place or moved
/// by one pixel left, right, up or down, each as likely, so that few digits go a longer way.
class BatchSampler {
 public:
  /// `source` must outlive the sampler.
  BatchSampler(const Digits& source, std::size_t batch, std::uint64_t seed);

  /// The next batch; valid until the next call.
  const Digits& next();

 private:
  std::size_t draw();

  const Digits& source_;
  std::size_t batch_size_;
  Digits batch_;
  std::vector<std::size_t> order_;
  std::size_t position_;
  std::mt19937_64 random_;
};

}  // namespace digits

#endif  // DIGITS_DATA_H_
