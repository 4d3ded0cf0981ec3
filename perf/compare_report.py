# SPDX-License-Identifier: Apache-2.0
"""What perf/compare.py makes of its measurements: medians, ratios, a table and JSON."""

import datetime
import json
import platform
import statistics

from compare_contenders import LATENCY_COUNT, PEERS


def ratio(rounds_above, rounds_below):
    """Median and range of the ratios within each round, in which the machine was in about the same state."""
    ratios = [above / below for above, below in zip(rounds_above, rounds_below, strict=True)]
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def wire_bound_us(bits, elements, rate_bits):
    """Time that a link needs for what the busiest rank sends; None if links are not limited, or bytes do not matter."""
    return bits * elements / rate_bits * 1e6 if rate_bits and elements > LATENCY_COUNT else None


def summarise(measurements, elements, rate_bits):
    """One contender at one count."""
    times = [measurement.us for measurement in measurements]
    us = statistics.median(times)
    bits = measurements[0].bits
    bound = wire_bound_us(bits, elements, rate_bits)
    return {"us": us, "min_us": min(times), "max_us": max(times), "bits_per_element": bits,
            "algorithm": measurements[0].algorithm, "wire_bound_us": bound,
            "over_wire_bound": us / bound if bound else None, "rounds_us": times}


def best_ways(summaries):
    """For each peer the name of the way in which it was fastest."""
    best = {}
    for peer, (_, ways) in PEERS.items():
        names = [peer + suffix for suffix in ways if peer + suffix in summaries]
        if names:
            best[peer] = min(names, key=lambda name: summaries[name]["us"])
    return best


def ratios(summaries):
    """Time of each peer, run the best way, over that of each of ours; the more, the better for us."""
    best = best_ways(summaries)
    return [{"of": name, "to": own, **ratio(summaries[name]["rounds_us"], summaries[own]["rounds_us"])}
            for own in summaries if own.startswith("signccl-") for name in best.values()]


def document(results, description, rate_bits, options, arguments):
    """All that is known of a comparison."""
    counts = []
    for elements, rows in results.items():
        summaries = {name: summarise(rounds, elements, rate_bits) for name, rounds in rows.items()}
        counts.append({"count": elements, "contenders": summaries, "ratios": ratios(summaries)})
    return {"program": "perf/compare.py", "arguments": arguments,
            "time": datetime.datetime.now().astimezone().isoformat(timespec="seconds"), "machine": platform.machine(),
            "where": description, "nranks": options.ranks, "rounds": options.rounds,
            "placement": "in_place" if options.in_place else "out_of_place", "rate_bits": rate_bits, "counts": counts}


def format_time(us):
    """Three digits, in the unit that suits them."""
    for limit, unit in ((1e3, "us"), (1e6, "ms"), (float("inf"), "s")):
        if us < limit:
            value = us / limit * 1e3 if limit < float("inf") else us / 1e6
            return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"
    raise ValueError(us)


def format_count(elements):
    for exponent, suffix in ((30, "G"), (20, "M"), (10, "K")):
        if elements % (1 << exponent) == 0:
            return f"{elements >> exponent}{suffix}"
    return str(elements)


def table(header, rows):
    """In Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def contender_row(name, summary):
    row = [name, format_time(summary["us"]), f"{format_time(summary['min_us'])} to {format_time(summary['max_us'])}",
           f"{summary['bits_per_element']:.4g}", summary["algorithm"] or "-"]
    if summary["wire_bound_us"]:
        row += [format_time(summary["wire_bound_us"]), f"{summary['over_wire_bound']:.2f}"]
    return row


def markdown(doc):
    parts = [f"{doc['where']}; float32, {doc['placement'].replace('_', ' ')}, medians of {doc['rounds']} rounds\n"]
    for entry in doc["counts"]:
        parts.append(f"### {format_count(entry['count'])} elements\n")
        header = ["", "time", "range", "bits/element", "algorithm"]
        if any(s["wire_bound_us"] for s in entry["contenders"].values()):
            header += ["wire bound", "time / bound"]
        parts.append(table(header, [contender_row(name, s) for name, s in entry["contenders"].items()]))
        if entry["ratios"]:
            parts.append(table(["ratio", "median", "range"],
                               [[f"{r['of']} / {r['to']}", f"{r['median']:.3g}", f"{r['min']:.3g} to {r['max']:.3g}"]
                                for r in entry["ratios"]]))
    return "\n".join(parts)


def write_json(path, doc):
    path.write_text(json.dumps(doc, indent=2) + "\n", encoding="utf-8")
