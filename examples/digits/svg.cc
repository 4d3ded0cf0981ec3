// SPDX-License-Identifier: Apache-2.0
#include "svg.h"

#include <iomanip>

namespace digits {
namespace {

std::string strokeOf(const Pen& pen) {
  std::ostringstream stroke;
  stroke << R"(stroke=")" << pen.color << R"(" stroke-width=")" << pen.width << '"';
  if (pen.dashed) stroke << R"( stroke-dasharray="5 3")";
  return stroke.str();
}

const char* nameOf(Anchor anchor) {
  switch (anchor) {
    case Anchor::kStart:
      return "start";
    case Anchor::kMiddle:
      return "middle";
    case Anchor::kEnd:
      return "end";
  }
  return "start";
}

std::string escape(const std::string& words) {
  std::string escaped;
  for (const char c : words) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

}  // namespace

Svg::Svg(double width, double height) {
  body_ << std::fixed << std::setprecision(1) << R"(<svg xmlns="http://www.w3.org/2000/svg" width=")" << width
        << R"(" height=")" << height << R"(" viewBox="0 0 )" << width << ' ' << height
        << R"(" font-family="Helvetica, Arial, sans-serif">)" << '\n'
        << R"(<rect width="100%" height="100%" fill="white"/>)" << '\n';
}

void Svg::line(Point from, Point to, const Pen& pen) {
  body_ << R"(<line x1=")" << from.x << R"(" y1=")" << from.y << R"(" x2=")" << to.x << R"(" y2=")" << to.y << R"(" )"
        << strokeOf(pen) << "/>\n";
}

void Svg::curve(std::span<const Point> points, const Pen& pen) {
  body_ << R"(<polyline fill="none" stroke-linejoin="round" )" << strokeOf(pen) << R"( points=")";
  for (const Point& point : points) body_ << point.x << ',' << point.y << ' ';
  body_ << "\"/>\n";
}

void Svg::dot(Point center, double radius, const char* color) {
  body_ << R"(<circle cx=")" << center.x << R"(" cy=")" << center.y << R"(" r=")" << radius << R"(" fill=")" << color
        << "\"/>\n";
}

void Svg::text(Point at, const std::string& words, const Label& label) {
  body_ << R"(<text x=")" << at.x << R"(" y=")" << at.y << R"(" font-size=")" << label.size << R"(" text-anchor=")"
        << nameOf(label.anchor) << '"';
  if (label.bold) body_ << R"( font-weight="bold")";
  body_ << R"( fill="#222222">)" << escape(words) << "</text>\n";
}

std::string Svg::finish() const { return body_.str() + "</svg>\n"; }

}  // namespace digits
