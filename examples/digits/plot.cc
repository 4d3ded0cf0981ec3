// SPDX-License-Identifier: Apache-2.0
#include "plot.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "svg.h"

namespace digits {
namespace {

constexpr double kGutter = 300;  // left of the panels: names of the methods, then the ticks of the y axis
constexpr double kTop = 64;
constexpr double kPanelWidth = 250;
constexpr double kPanelGap = 30;
constexpr double kCurvesHeight = 250;
constexpr double kRowHeight = 22;  // of a method in the lower panel
constexpr double kBetween = 84;    // from the upper panel to the lower
constexpr double kBottom = 58;
constexpr double kTitlePlace = 16;
constexpr double kLeastWidth = 600;
constexpr int kWhole = 100;  // percent

constexpr Pen kFrame{.color = "#888888"};
constexpr Pen kGrid{.color = "#e4e4e4"};

/// Blue, green, orange and red for the tie rules of votes, purple for averaging, grey and black for the baselines.
Pen penOf(const Method& method) {
  const bool dashed = method.zero_rule == signcclZeroTernary;
  switch (method.kind) {
    case MethodKind::kVote:
      switch (method.tie_rule) {
        case signcclTieZero:
          return {"#0072b2", 1.6, dashed};
        case signcclTiePositive:
          return {"#e69f00", 1.6, dashed};
        case signcclTieNegative:
          return {"#d55e00", 1.6, dashed};
        case signcclTieRandom:
          return {"#009e73", 1.6, dashed};
      }
      break;
    case MethodKind::kAvg:
      return {"#cc79a7", 1.6, dashed};
    case MethodKind::kLion:
      return {"#888888", 1.6, false};
    case MethodKind::kAdamW:
      return {"#000000", 1.6, false};
  }
  throw std::logic_error("unknown method");
}

/// Maps values to pixels along one axis.
struct Scale {
  double low;
  double high;
  double at_low;
  double at_high;

  [[nodiscard]] double place(double value) const {
    return at_low + (std::clamp(value, low, high) - low) / (high - low) * (at_high - at_low);
  }
};

std::vector<int> workersOf(const std::vector<Entry>& entries) {
  std::vector<int> workers;
  for (const Entry& entry : entries) {
    if (std::ranges::find(workers, entry.workers) == workers.end()) workers.push_back(entry.workers);
  }
  return workers;
}

std::vector<Entry> entriesWith(const std::vector<Entry>& entries, int workers) {
  std::vector<Entry> chosen;
  std::ranges::copy_if(entries, std::back_inserter(chosen), [&](const Entry& e) { return e.workers == workers; });
  return chosen;
}

/// Mean error over the seeds at point `i` of the curve, in percent.
double errorAt(const Entry& entry, std::size_t i) {
  double error = 0;
  for (const RunResult& run : entry.runs) error += 100 * (1 - run.curve[i].held_out.accuracy);
  return error / static_cast<double>(entry.runs.size());
}

/// Draws the error over the steps; its y axis is logarithmic.
class CurvesPanel {
 public:
  CurvesPanel(Svg& svg, double left, const std::vector<Entry>& entries) : svg_(svg), left_(left), entries_(entries) {
    x_ = {0, static_cast<double>(entries[0].runs[0].curve.back().step), left, left + kPanelWidth};
    y_ = {0, 2, kTop + kCurvesHeight, kTop};  // 1 % to 100 %, as powers of ten
  }

  void draw(bool with_y_labels) {
    drawAxes(with_y_labels);
    for (const Entry& entry : entries_) drawCurve(entry);
    svg_.text({left_ + kPanelWidth / 2, kTop - kTitlePlace}, "N = " + std::to_string(entries_[0].workers) + " workers",
              {.size = 14, .anchor = Anchor::kMiddle, .bold = true});
  }

 private:
  void drawAxes(bool with_y_labels) {
    if (with_y_labels) svg_.text({left_ - 6, kTop - kTitlePlace}, "error", {.size = 12, .anchor = Anchor::kEnd});
    for (const int percent : {1, 2, 5, 10, 20, 50, 100}) {
      const double y = y_.place(std::log10(percent));
      svg_.line({left_, y}, {left_ + kPanelWidth, y}, kGrid);
      if (with_y_labels)
        svg_.text({left_ - 6, y + 4}, std::to_string(percent) + " %", {.size = 11, .anchor = Anchor::kEnd});
    }
    const double bottom = kTop + kCurvesHeight;
    for (int quarter = 0; quarter <= 4; ++quarter) {
      const double step = x_.high * quarter / 4;
      svg_.line({x_.place(step), bottom}, {x_.place(step), bottom + 4}, kFrame);
      svg_.text({x_.place(step), bottom + 16}, std::to_string(std::lround(step)),
                {.size = 11, .anchor = Anchor::kMiddle});
    }
    svg_.line({left_, bottom}, {left_ + kPanelWidth, bottom}, kFrame);
    svg_.line({left_, kTop}, {left_, bottom}, kFrame);
    svg_.text({left_ + kPanelWidth / 2, bottom + 32}, "step", {.size = 12, .anchor = Anchor::kMiddle});
  }

  void drawCurve(const Entry& entry) {
    const auto& curve = entry.runs[0].curve;
    std::vector<Point> points;
    points.reserve(curve.size());
    for (std::size_t i = 0; i < curve.size(); ++i) {
      points.push_back({x_.place(curve[i].step), y_.place(std::log10(std::max(errorAt(entry, i), 1.0)))});
    }
    svg_.curve(points, penOf(entry.method));
  }

  Svg& svg_;
  double left_;
  const std::vector<Entry>& entries_;
  Scale x_{};
  Scale y_{};
};

/// Draws the accuracy at the end, a row for each method.
class EndsPanel {
 public:
  EndsPanel(Svg& svg, double left, const std::vector<Entry>& entries, double lowest)
      : svg_(svg), left_(left), entries_(entries), x_{lowest, kWhole, left, left + kPanelWidth} {}

  void draw() {
    const double top = kTop + kCurvesHeight + kBetween;
    const double bottom = top + kRowHeight * static_cast<double>(entries_.size());
    const int tick = x_.high - x_.low > 12 ? 5 : x_.high - x_.low > 5 ? 2 : 1;
    for (int percent = kWhole; percent >= std::lround(x_.low); percent -= tick) {
      const double x = x_.place(percent);
      svg_.line({x, top}, {x, bottom}, kGrid);
      svg_.text({x, bottom + 16}, std::to_string(percent), {.size = 11, .anchor = Anchor::kMiddle});
    }
    svg_.line({left_, bottom}, {left_ + kPanelWidth, bottom}, kFrame);
    svg_.line({left_, top}, {left_, bottom}, kFrame);
    svg_.text({left_ + kPanelWidth / 2, bottom + 34}, "accuracy, %", {.size = 12, .anchor = Anchor::kMiddle});
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      drawRange(entries_[i], top + kRowHeight * (static_cast<double>(i) + 0.5));
    }
  }

 private:
  void drawRange(const Entry& entry, double y) {
    const Summary summary = summarise(entry);
    const Pen pen = penOf(entry.method);
    svg_.line({x_.place(100 * summary.lowest_accuracy), y}, {x_.place(100 * summary.highest_accuracy), y},
              {.color = pen.color, .width = 3});
    svg_.dot({x_.place(100 * summary.accuracy), y}, 5, pen.color);
  }

  Svg& svg_;
  double left_;
  const std::vector<Entry>& entries_;
  Scale x_;
};

/// The methods' names with their lines: a legend beside the upper panels, and row names beside the lower.
void drawNames(Svg& svg, const std::vector<Entry>& entries, double top) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const double y = top + kRowHeight * (static_cast<double>(i) + 0.5);
    svg.line({14, y}, {38, y}, penOf(entries[i].method));
    svg.text({44, y + 4}, entries[i].method.title(), {.size = 11});
  }
}

/// The lower panels' left end: a whole even percentage under every accuracy, but not below 60 %.
double lowestPercent(const std::vector<Entry>& entries) {
  double lowest = 100;
  for (const Entry& entry : entries) lowest = std::min(lowest, 100 * summarise(entry).lowest_accuracy);
  return std::clamp(2 * std::floor((lowest - 0.2) / 2), 60.0, 98.0);
}

std::string titleOf(Sharding sharding) {
  return sharding == Sharding::kOwn ? "Digits held out; each worker trains on its own part"
                                    : "Digits held out; each worker trains on all digits";
}

void writePlot(const std::filesystem::path& path, const std::vector<Entry>& entries) {
  const std::vector<int> workers = workersOf(entries);
  const auto columns = static_cast<double>(workers.size());
  const auto first = entriesWith(entries, workers[0]);
  const double names_height = kRowHeight * static_cast<double>(first.size());
  const double lower_top = kTop + kCurvesHeight + kBetween;
  Svg svg(std::max(kGutter + columns * (kPanelWidth + kPanelGap), kLeastWidth), lower_top + names_height + kBottom);

  svg.text({14, 24}, titleOf(first[0].sharding), {.size = 15, .bold = true});
  drawNames(svg, first, kTop + (kCurvesHeight - names_height) / 2);
  drawNames(svg, first, lower_top);
  for (std::size_t i = 0; i < workers.size(); ++i) {
    const double left = kGutter + static_cast<double>(i) * (kPanelWidth + kPanelGap);
    const auto column = entriesWith(entries, workers[i]);
    CurvesPanel(svg, left, column).draw(i == 0);
    EndsPanel(svg, left, column, lowestPercent(entries)).draw();
  }
  std::ofstream file(path);
  file << svg.finish();
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace

std::vector<std::filesystem::path> writePlots(const std::filesystem::path& directory,
                                              const std::vector<Entry>& entries) {
  std::vector<std::filesystem::path> written;
  for (const Sharding sharding : {Sharding::kOwn, Sharding::kWhole}) {
    std::vector<Entry> chosen;
    std::ranges::copy_if(entries, std::back_inserter(chosen), [&](const Entry& e) { return e.sharding == sharding; });
    if (chosen.empty()) continue;
    written.push_back(directory / ("digits_" + nameOf(sharding) + ".svg"));
    writePlot(written.back(), chosen);
  }
  return written;
}

}  // namespace digits
