"""What every peer script shares: its flags, how a step is timed, and the JSON line it prints."""

import argparse
import json
import resource
import statistics
import sys
import time


def positive(text):
    """An argparse type: an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, got {text}")
    return value


def arguments(description, modes, batch_size=None, model=False):
    """Parses --modes, --steps, --warmup, --threads and, where a batch size is given or a model file says it, --batch-size."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--modes", nargs="+", choices=modes, default=modes, help="what to run (default: all)")
    if model:
        parser.add_argument("--model", required=True, metavar="FILE.toml", help="the model file")
    if batch_size is not None or model:
        parser.add_argument("--batch-size", type=positive, default=batch_size, help="images per batch")
    parser.add_argument("--steps", type=positive, default=20, help="steps that are timed")
    parser.add_argument("--warmup", type=positive, default=5, help="steps before them, not timed; compilation falls here")
    parser.add_argument("--threads", type=positive, default=2, help="threads that the peer may use")
    return parser.parse_args()


def time_steps(step, steps, warmup):
    """Runs `step` warmup + steps times; returns the last `steps` durations in milliseconds.

    A step must be over when it returns: it returns something that was computed from its results.
    """
    for _ in range(warmup):
        step()
    durations = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        durations.append((time.perf_counter() - start) * 1e3)
    return durations


def report(peer, mode, durations, threads, version, **more):
    """Prints one JSON line. Peak resident memory is that of the process so far: one mode per process to compare it."""
    peak_rss_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform == "darwin":
        peak_rss_kb /= 1024
    line = {
        "peer": peer,
        "mode": mode,
        **more,
        "step_ms": {"min": round(min(durations), 3), "median": round(statistics.median(durations), 3)},
        "steps": len(durations),
        "threads": threads,
        "peak_rss_mb": round(peak_rss_kb / 1024, 1),
        "version": version,
    }
    print(json.dumps(line), flush=True)
