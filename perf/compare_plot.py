# SPDX-License-Identifier: Apache-2.0
"""The results of perf/compare.py as bars in an SVG file."""

from html import escape

from compare_report import format_count, format_time

WIDTH = 760
LABEL_WIDTH = 150
BAR_WIDTH = 470
ROW_HEIGHT = 24
OURS, THEIRS, BOUND = "#1f6f8b", "#b8b8b8", "#c0392b"


def text(x, y, words, size=12, weight="normal", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-family="sans-serif" font-size="{size}" font-weight="{weight}" '
            f'text-anchor="{anchor}">{escape(words)}</text>')


def bars(entry, top):
    """A bar for each contender of one count, drawn to scale from 0, and a mark for what the wire needs."""
    longest = max(summary["us"] for summary in entry["contenders"].values())
    parts = [text(0, top + 14, f"{format_count(entry['count'])} elements", 13, "bold")]
    for number, (name, summary) in enumerate(entry["contenders"].items(), start=1):
        y = top + number * ROW_HEIGHT
        length = max(1.0, summary["us"] / longest * BAR_WIDTH)
        color = OURS if name.startswith("signccl-") else THEIRS
        parts.append(text(LABEL_WIDTH - 8, y + 14, name, anchor="end"))
        parts.append(f'<rect x="{LABEL_WIDTH}" y="{y + 2}" width="{length:.1f}" height="{ROW_HEIGHT - 6}" '
                     f'fill="{color}"/>')
        if summary["wire_bound_us"]:
            x = LABEL_WIDTH + summary["wire_bound_us"] / longest * BAR_WIDTH
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + ROW_HEIGHT - 2}" stroke="{BOUND}" '
                         'stroke-width="2"/>')
        parts.append(text(LABEL_WIDTH + length + 6, y + 14, format_time(summary["us"])))
    return parts


def svg(doc):
    top = 50
    parts = [text(0, 16, "Time of one collective", 15, "bold"), text(0, 34, doc["where"])]
    for entry in doc["counts"]:
        parts += bars(entry, top)
        top += (len(entry["contenders"]) + 2) * ROW_HEIGHT
    if doc["rate_bits"]:
        parts.append(text(0, top, "Red marks: what the link alone needs for the bits that are sent."))
        top += ROW_HEIGHT
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
                      f'viewBox="-12 -4 {WIDTH} {top}">', f'<rect x="-12" y="-4" width="{WIDTH}" height="{top}" '
                      'fill="white"/>', *parts, "</svg>", ""])
