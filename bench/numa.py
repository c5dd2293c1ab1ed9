#!/usr/bin/env python3
"""Makes a placement table and a plot of what numa.sh prints.

numa.py --to DIR [--emulated] < RESULTS     writes DIR/numa.md and DIR/numa.png
"""

import argparse
import collections
import pathlib
import subprocess
import sys

TESTS = {
    "local": "own blocks",
    "crossfree": "another node frees",
    "producer": "another node consumes",
    "migrate": "a thread that moves",
    "interleave": "--interleave=all: evenness",
    "membind": "--membind: the last node",
}

PLOT = """set terminal pngcairo size 1400,700 font "sans,12" noenhanced
set output "{png}"
set style data histograms
set style histogram clustered gap 1.5
set style fill solid 0.9 border -1
set grid ytics
set yrange [0:105]
set key outside right top
set ylabel "pages in the right place, percent"
plot for [i=2:{last}] "{data}" using i:xtic(1) title columnheader(i)
"""


def read(lines):
    results = collections.OrderedDict()
    for line in lines:
        words = line.split()
        if len(words) == 5 and words[0] == "numa-result":
            results.setdefault(words[1], {})[words[2]] = (float(words[3]), float(words[4]))
    return results


def table(results, emulated):
    out = ["| malloc | " + " | ".join(TESTS.values()) + " |", "|---|" + "---:|" * len(TESTS)]
    for name, tests in results.items():
        cells = []
        for test in TESTS:
            share, ns = tests[test]
            cells.append(f"{share:.1f}" if emulated else f"{share:.1f} ({ns:.0f})")
        out.append(f"| {name} | " + " | ".join(cells) + " |")
    what = "Pages in the right place, in percent"
    what += "." if emulated else " (nanoseconds per block)."
    if emulated:
        what += " The machine is emulated: distance costs nothing there, so no times are shown."
    return what + "\n\n" + "\n".join(out) + "\n"


def plot(results, to):
    data = to / "numa.dat"
    with data.open("w") as file:
        print("test", *results, file=file)
        for test in TESTS:
            print(test, *(tests[test][0] for tests in results.values()), file=file)
    script = PLOT.format(png=to / "numa.png", data=data, last=len(results) + 1)
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    parser.add_argument("--emulated", action="store_true")
    arguments = parser.parse_args()
    results = read(sys.stdin)
    if not results:
        sys.exit("numa.py: no results on standard input")
    for name, tests in results.items():
        missing = set(TESTS) - set(tests)
        if missing:
            sys.exit(f"numa.py: {name}: no result of {', '.join(sorted(missing))}")
    arguments.to.mkdir(parents=True, exist_ok=True)
    text = table(results, arguments.emulated)
    (arguments.to / "numa.md").write_text(text)
    plot(results, arguments.to)
    print(text + f"\nTable and plot: {arguments.to}/numa.md, {arguments.to}/numa.png")


if __name__ == "__main__":
    main()
