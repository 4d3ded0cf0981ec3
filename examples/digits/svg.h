// SPDX-License-Identifier: Apache-2.0
// A canvas of lines, dots and words that becomes an SVG file.
#ifndef DIGITS_SVG_H_
#define DIGITS_SVG_H_

#include <cstdint>
#include <span>
#include <sstream>
#include <string>

namespace digits {

/// In pixels from the upper left corner.
struct Point {
  double x;
  double y;
};

struct Pen {
  const char* color;  ///< as SVG writes it, #rrggbb
  double width = 1;
  bool dashed = false;
};

enum class Anchor : std::uint8_t { kStart, kMiddle, kEnd };

struct Label {
  double size = 12;
  Anchor anchor = Anchor::kStart;
  bool bold = false;
};

class Svg {
 public:
  /// A white canvas.
  Svg(double width, double height);

  void line(Point from, Point to, const Pen& pen);
  void curve(std::span<const Point> points, const Pen& pen);
  void dot(Point center, double radius, const char* color);
  void text(Point at, const std::string& words, const Label& label);

  /// The whole file.
  [[nodiscard]] std::string finish() const;

 private:
  std::ostringstream body_;
};

}  // namespace digits

#endif  // DIGITS_SVG_H_
