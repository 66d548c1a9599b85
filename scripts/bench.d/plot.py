"""A plot of a group: for each row a dot of each subject, at how many times as good it is as the first one."""

import math
from xml.sax.saxutils import escape

WIDTH, TEXT, LINE, TOP, LETTER = 960, 470, 20, 50, 7
COLORS = {
    "sluice": "#c62828", "sluice-requests": "#ef9a9a", "s3fs": "#1565c0", "rclone": "#2e7d32", "juicefs": "#ef6c00",
    "disk": "#757575", "disk, synced": "#bdbdbd", "disk, synced and sent": "#5d4037",
}
OTHER_COLOR = "#6a1b9a"
TICKS = [0.001, 0.01, 0.1, 0.3, 1, 3, 10]


def ratios(group):
    """The SVG text; None where no row has a ratio. One line for each mark, so that two runs can be compared."""
    dots = {row.what: {name: row.ratio(name) for name in row.values if name != row.base} for row in group.rows}
    dots = {what: found for what, found in dots.items() if found and None not in found.values()}
    if not dots:
        return None
    values = [value for found in dots.values() for value in found.values()]
    low, high = min(0.3, *values) / 1.2, max(1, *values) * 1.2

    def x(value):
        return round(TEXT + (WIDTH - TEXT - 20) * math.log(value / low) / math.log(high / low))

    height = TOP + LINE * len(dots) + 10
    marks = [f'<rect width="{WIDTH}" height="{height}" fill="white"/>']
    for tick in TICKS:
        if low <= tick <= high:
            color = "#333" if tick == 1 else "#ddd"
            marks.append(f'<line x1="{x(tick)}" x2="{x(tick)}" y1="{TOP - 8}" y2="{height}" stroke="{color}"/>')
            marks.append(f'<text x="{x(tick)}" y="{TOP - 12}" text-anchor="middle">{tick:g}</text>')
    subjects = list(dict.fromkeys(name for found in dots.values() for name in found))
    left = 20
    for name in subjects:
        marks.append(f'<circle cx="{left}" cy="14" r="5" fill="{COLORS.get(name, OTHER_COLOR)}"/>')
        marks.append(f'<text x="{left + 9}" y="18">{escape(name)}</text>')
        left += 40 + LETTER * len(name)
    for index, (what, found) in enumerate(dots.items()):
        y = TOP + LINE * index + LINE // 2
        marks.append(f'<text x="{TEXT - 20}" y="{y + 4}" text-anchor="end">{escape(what)}</text>')
        for name, value in found.items():
            dot = f'<circle cx="{x(value)}" cy="{y}" r="5" fill="{COLORS.get(name, OTHER_COLOR)}" fill-opacity="0.8">'
            marks.append(f"{dot}<title>{value:.2f}</title></circle>")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, *marks, "</svg>"]) + "\n"
