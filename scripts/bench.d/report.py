"""What was measured as text: tables in Markdown, to print, and docs/benchmarks.md with its plots."""

import plot

HOW_TO_READ = """\
Values are medians of the rounds; less is better. In brackets stands how many times as good a subject is as the first of its
row, where that is no driver of a bucket: the median of the ratios within each round. The order of the subjects is rotated
from round to round. Only ratios within one run mean something. What costs the same each time, and what is left idle, has one
round. sluice-requests is Sluice without passthrough, as where the kernel is older than 6.9 or the daemon is not root. Before
a large write or a recording memory is taken and freed: a virtual machine gives what lies free back to its host, and who writes
first would pay for having it back. And its idle processors are kept from halting, where they can be: the host would take 50 to
100 µs to wake one for each request, ten times as long as the request itself."""


def tables(group):
    """Rows and targets of a group."""
    lines = table(["", *group.subjects], [[row.what, *(cell(row, name) for name in group.subjects)] for row in group.rows])
    if group.targets:
        lines += ["", *table(["target", ""], [[text, "met" if is_met else "**not met**"] for text, is_met in group.targets])]
    return "\n".join(lines)


def table(heads, rows):
    widths = [max(3, *(len(cells[column]) for cells in [heads, *rows])) for column in range(len(heads))]
    lines = [heads, ["-" * width for width in widths], *rows]
    return ["| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |" for cells in lines]


def cell(row, subject):
    if subject not in row.values:
        return ""
    ratio = row.ratio(subject)
    is_base = subject == row.base
    beside = "" if is_base or ratio is None else f" ({ratio:.2f})" if ratio >= 0.05 else f" ({ratio:.1g})"
    return number(row.median(subject)) + beside


def number(value):
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write_document(directory, command, facts, groups):
    """benchmarks.md in `directory`, and beside it a plot for each group that has ratios; `facts` describe the machine."""
    parts = ["# Benchmarks", f"`{command}` wrote this.", "\n".join(table(["", ""], [list(fact) for fact in facts])), HOW_TO_READ]
    for group in groups:
        parts += [f"## {group.name.replace('-', ' ').capitalize()}", group.text.strip()]
        if picture := plot.ratios(group):
            (directory / f"benchmarks-{group.name}.svg").write_text(picture)
            parts.append(f"![how many times as good as the first subject](benchmarks-{group.name}.svg)")
        parts.append(tables(group))
    (directory / "benchmarks.md").write_text("\n\n".join(parts) + "\n")
