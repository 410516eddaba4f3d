"""Reduces the JSON lines that run.sh collects to the table of ratios. Exit status 1 when a row lacks a figure."""

import argparse
import json
import platform
import statistics
import sys
from collections import defaultdict

OURS = "gannet"
STEP_OF_PRESET = {"dcgan": "reference", "cdcgan": "default"}
# Steps with a row, and bars, of their own.
JUDGED = ["reference", "default", "seed-dense", "matmul"]


def cpu_name():
    """The processor's name where the system gives one."""
    try:
        with open("/proc/cpuinfo") as info:
            return next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


class Measured:
    """All rounds of one program with one workload."""

    def __init__(self, lines):
        self.lines = lines
        # matmul is measured as one step per product; our own bench may give GFLOP/s alone.
        self.ms = self.median("step_ms", "median")
        self.min_ms = min((line["step_ms"]["min"] for line in lines if "step_ms" in line), default=None)
        self.gflops = self.median("gflops")
        self.peak_rss_mb = max((line["peak_rss_mb"] for line in lines if "peak_rss_mb" in line), default=None)
        self.fma_peak = self.median("fma_peak_gflops")

    def median(self, *path):
        values = []
        for line in self.lines:
            for key in path:
                line = line.get(key) if line is not None else None
            if line is not None:
                values.append(line)
        return statistics.median(values) if values else None


def read(path):
    """Measured by (step, batch size, threads, program)."""
    groups = defaultdict(list)
    with open(path) as file:
        for text in file:
            line = json.loads(text)
            if "peer" in line:
                step, program = line["step"], f"{line['peer']} {line['mode']}"
            else:
                preset = line.get("preset")
                step, program = STEP_OF_PRESET.get(preset, preset) or "matmul", OURS
            groups[step, line.get("batch_size"), line["threads"], program].append(line)
    return {key: Measured(lines) for key, lines in groups.items()}


class Table:
    def __init__(self, measured, threads):
        self.measured, self.threads, self.rows, self.complete = measured, threads, [], True

    def ours(self, step, batch_size, threads=None):
        return self.measured.get((step, batch_size, threads or self.threads, OURS))

    def best_peer(self, step, batch_size):
        """(name, Measured) of the fastest peer, or None."""
        found = [
            (program, measured)
            for (s, b, t, program), measured in self.measured.items()
            if (s, b, t) == (step, batch_size, self.threads) and program != OURS and " bf16" not in program
        ]
        return min(found, key=lambda pair: pair[1].ms, default=None)

    def row(self, what, ours, peer, value, form, reach, aim, lower_is_better=False, note=""):
        """`value` is compared with `reach` and `aim`; None means that a figure is missing."""
        if value is None:
            self.complete = False
            verdict = "not measured"
        else:
            passes = lambda bar: value <= bar if lower_is_better else value >= bar
            verdict = "aim met" if passes(aim) else "reach met" if passes(reach) else "missed"
        shown = "-" if value is None else form.format(value) + note
        self.rows.append((what, ours or "-", peer or "-", shown, form.format(reach), form.format(aim), verdict))

    def ratio(self, what, step, batch_size, reach, aim):
        ours, peer = self.ours(step, batch_size), self.best_peer(step, batch_size)
        value, minima = None, ""
        if ours and peer:
            value = peer[1].ms / ours.ms
            minima = f" ({peer[1].min_ms / ours.min_ms:.2f} by minima)"
        self.row(
            f"{what}, B={batch_size}",
            ours and f"{ours.ms:.1f} ms",
            peer and f"{peer[1].ms:.1f} ms ({peer[0]})",
            value,
            "{:.2f} times",
            reach,
            aim,
            note=minima,
        )

    def print(self):
        head = ("what", "ours", "best peer", "result", "reach", "aim", "")
        widths = [max(len(row[i]) for row in [head, *self.rows]) for i in range(len(head))]
        show = lambda row: print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        show(head)
        print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
        for row in self.rows:
            show(row)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", help="file of JSON lines")
    parser.add_argument("--threads", type=int, default=2, help="threads that everyone had")
    parser.add_argument("--isa", default="best", help="what run.sh held everyone to")
    arguments = parser.parse_args()
    measured = read(arguments.lines)
    table = Table(measured, arguments.threads)

    table.ratio("reference step", "reference", 128, 2.0, 2.5)
    table.ratio("reference step", "reference", 32, 2.0, 3.0)
    table.ratio("default run's step", "default", 32, 2.0, 3.0)
    table.ratio("seed-dense step", "seed-dense", 32, 10.0, 20.0)
    # Whatever model files were measured.
    for step, batch_size in sorted({(s, b) for s, b, t, _ in measured if t == arguments.threads and s not in JUDGED}):
        table.ratio(step, step, batch_size, 2.0, 2.5)

    reference, best = table.ours("reference", 128), table.best_peer("reference", 128)
    # Each figure of ours is set beside the peak that its own process measured, seconds later: clocks drift.
    share = lambda gflops, measured: gflops / measured.fma_peak if gflops and measured and measured.fma_peak else None
    percent = lambda value: None if value is None else f"{value:.0%}"

    ours, peer = table.ours("matmul", None), table.best_peer("matmul", None)
    ours_share = share(ours and ours.gflops, ours)
    table.row("matmul 1024, share of FMA peak", percent(ours_share), percent(share(peer and peer[1].gflops, ours)), ours_share, "{:.0%}", 0.85, 0.92)

    ours_share = share(reference and reference.gflops, reference)
    # The peers run the same arithmetic: what is counted is what the step needs, whatever a program does on top.
    peer_share = ours_share * reference.ms / best[1].ms if ours_share and best else None
    table.row("reference step, B=128, share of FMA peak", percent(ours_share), percent(peer_share), ours_share, "{:.0%}", 0.75, 1.0)

    single = table.ours("reference", 128, threads=1)
    if arguments.threads > 1:
        speed_up = single.ms / reference.ms if single and reference else None
        what = f"reference step, B=128, 1 to {arguments.threads} threads"
        # The bars are for a second core; further cores are shown, not judged by other bars.
        table.row(what, single and f"{single.ms:.1f} ms on one", None, speed_up, "{:.2f} times", 1.85, 1.95)

    memory = reference and reference.peak_rss_mb
    peers_memory = [
        (m.peak_rss_mb, program)
        for (step, batch_size, _, program), m in measured.items()
        if (step, batch_size) == ("reference", 128) and program != OURS
    ]
    least = min(peers_memory, default=None)
    table.row(
        "reference step, B=128, peak resident memory",
        memory and f"{memory:.0f} MB",
        least and f"{least[0]:.0f} MB ({least[1]})",
        memory,
        "{:.0f} MB",
        100,
        60,
        lower_is_better=True,
    )

    isa = next((line["isa"] for m in measured.values() for line in m.lines if "isa" in line), "unknown")
    peak = f"{reference.fma_peak:.0f} GFLOP/s" if reference and reference.fma_peak else "not measured"
    held = "everyone takes the best there is" if arguments.isa == "best" else f"everyone held to {arguments.isa}"
    print(f"{cpu_name()}; {arguments.threads} threads; instruction set of ours: {isa} ({held}); FMA peak: {peak}\n")
    table.print()

    print("\n| step | B | threads | program | rounds | median ms | min ms | GFLOP/s | peak MB | version |\n|---|---|---|---|---|---|---|---|---|---|")
    number = lambda value, digits: "" if value is None else f"{value:.{digits}f}"
    for (step, batch_size, threads, program), m in sorted(measured.items(), key=lambda item: (item[0][0], item[0][1] or 0, item[0][2], item[1].ms or 0)):
        cells = [step, batch_size or "", threads, program, len(m.lines), number(m.ms, 2), number(m.min_ms, 2), number(m.gflops, 1), number(m.peak_rss_mb, 0), m.lines[0].get("version", "")]
        print("| " + " | ".join(map(str, cells)) + " |")
    return 0 if table.complete else 1


if __name__ == "__main__":
    sys.exit(main())
