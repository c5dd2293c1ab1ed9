"""Numbers as text, tables for people and for Markdown, and the call of gnuplot."""

import math
import os
import subprocess


def number(value, digits=3):
    """About `digits` significant digits, without an exponent."""
    if value is None:
        return "-"
    if abs(value) >= 10 ** (digits - 1) or value == 0:
        return f"{value:.0f}"
    return f"{value:.{digits - 1 if abs(value) < 10 else digits - 2}f}"


def interval(found):
    if found is None:
        return "-"
    if found[2] == math.inf:
        return f"{found[0]:.2f} [too few runs]"
    return f"{found[0]:.2f} [{found[1]:.2f}, {found[2]:.2f}]"


def ratio_of(value, base):
    return "-" if value is None or not base else f"{value / base:.2f}"


def table(header, rows):
    """Markdown: the first column to the left, the others to the right."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def text_table(header, rows):
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]).rstrip()
        for row in cells
    ]


def plot(script, *words):
    """Runs a gnuplot script of this directory; a picture that fails costs no results."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), script)
    command = ["gnuplot", "-c", path, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"bench: no plot: {(done.stderr.strip().splitlines() or ['gnuplot failed'])[-1]}")
