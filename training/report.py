"""One self-contained page a run: the curve, the table, and the episodes that show why it improved."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from ..memory.store import read
from ..memory.trajectory import Trajectory
from .run import RunDir, save_text

COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea")
STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8882}
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .75rem;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child{text-align:left}pre{white-space:pre-wrap;background:var(--soft);padding:.75rem;border-radius:.5rem}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}.step{border-left:3px solid var(--line);padding:.1rem .6rem;margin:.3rem 0}
.step b{font-family:ui-monospace,monospace}.fix{color:#059669}.bad{border-color:#dc2626}.good{border-color:#059669}
small{opacity:.7}@media(max-width:50rem){.pair{grid-template-columns:1fr}}
"""


def curve(series: dict[str, list[tuple[float, float, float]]], labels: list[str], title: str) -> str:
    """Return an SVG of success per round with 95 % bars; series maps a name to (mean, low, high) a round."""
    width, height, left, bottom = 640, 320, 48, 40
    span = max(1, len(labels) - 1)

    def x(i: int) -> float:
        return left + 20 + i * (width - left - 160) / span

    def y(v: float) -> float:
        return 24 + (1 - v) * (height - bottom - 24)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui,sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="{left}" y="14" font-weight="600" fill="#111">{html.escape(title)}</text>'
    ]
    for v in (0, 0.25, 0.5, 0.75, 1):
        out.append(f'<path d="M{left} {y(v):.1f}H{width - 120}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 8}" y="{y(v) + 4:.1f}" text-anchor="end" fill="#555">{v:.0%}</text>')
    for i, label in enumerate(labels):
        out.append(
            f'<text x="{x(i):.1f}" y="{height - 18}" text-anchor="middle" fill="#555">{html.escape(label)}</text>'
        )
    for (name, points), colour in zip(series.items(), COLOURS * 3, strict=False):
        path = "M" + "L".join(f"{x(i):.1f} {y(m):.1f}" for i, (m, _, _) in enumerate(points))
        out.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        for i, (mean, low, high) in enumerate(points):
            out.append(f'<path d="M{x(i):.1f} {y(low):.1f}V{y(high):.1f}" stroke="{colour}"/>')
            out.append(f'<circle cx="{x(i):.1f}" cy="{y(mean):.1f}" r="4" fill="{colour}"/>')
        last = points[-1][0]
        out.append(
            f'<text x="{x(len(points) - 1) + 10:.1f}" y="{y(last) + 4:.1f}" fill="{colour}">{html.escape(name)} {last:.0%}</text>'
        )
    return "".join(out) + "</svg>"


def intervals(rows: list[tuple[str, float, float, float]], title: str, unit: float = 100) -> str:
    """Return an SVG of means with their 95 % intervals, one line a row of (name, mean, low, high), written times `unit`."""
    width, left, step = 640, 220, 28
    low, high = min(0.0, *(r[2] for r in rows)), max(0.0, *(r[3] for r in rows))
    height = 64 + step * len(rows)

    def x(v: float) -> float:
        return left + (v - low) / (high - low or 1) * (width - left - 90)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui,sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="12" y="18" font-weight="600" fill="#111">{html.escape(title)}</text>'
        f'<path d="M{x(0):.1f} 32V{height - 16}" stroke="#bbb"/>'
    ]
    for i, (name, mean, a, b) in enumerate(rows):
        y = 46 + step * i
        out.append(f'<text x="{left - 12}" y="{y + 4}" text-anchor="end" fill="#333">{html.escape(name)}</text>')
        out.append(f'<path d="M{x(a):.1f} {y}H{x(b):.1f}" stroke="{COLOURS[0]}" stroke-width="2"/>')
        out.append(f'<circle cx="{x(mean):.1f}" cy="{y}" r="4" fill="{COLOURS[0]}"/>')
        out.append(f'<text x="{x(b) + 10:.1f}" y="{y + 4}" fill="#333">{unit * mean:.1f}</text>')
    return "".join(out) + "</svg>"


def scatter(points: Sequence[tuple[float, float]], title: str, across: str, up: str) -> str:
    """Return an SVG of points (x, y), with the names of both axes and the line on which they are equal."""
    width, height, left, top = 480, 440, 60, 36
    low, high = min(min(p) for p in points), max(max(p) for p in points)

    def x(v: float) -> float:
        return left + (v - low) / (high - low or 1) * (width - left - 24)

    def y(v: float) -> float:
        return height - 56 - (v - low) / (high - low or 1) * (height - 56 - top)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui,sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="12" y="18" font-weight="600" fill="#111">{html.escape(title)}</text>'
        f'<path d="M{x(low):.1f} {y(low):.1f}L{x(high):.1f} {y(high):.1f}" stroke="#bbb"/>'
        f'<text x="{width / 2:.0f}" y="{height - 12}" text-anchor="middle" fill="#333">{html.escape(across)}</text>'
        f'<text transform="translate(16 {height / 2:.0f}) rotate(-90)" text-anchor="middle" fill="#333">{html.escape(up)}</text>'
    ]
    for v in (low, (low + high) / 2, high):
        out.append(f'<text x="{x(v):.1f}" y="{height - 34}" text-anchor="middle" fill="#555">{v:.2f}</text>')
        out.append(f'<text x="{left - 8}" y="{y(v) + 4:.1f}" text-anchor="end" fill="#555">{v:.2f}</text>')
    out += [
        f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{COLOURS[0]}" fill-opacity="0.4"/>' for a, b in points
    ]
    return "".join(out) + "</svg>"


def run_curve(config: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Return the learning curve of a run."""
    series = {
        split: [(r["eval"][split]["success"]["mean"], *r["eval"][split]["success"]["ci95"]) for r in rows]
        for split in rows[0]["eval"]
    }
    labels = ["demonstrations" if r["iteration"] == 0 else f"round {r['iteration']}" for r in rows]
    title = f"{config['method']} on {config['env']}, {config['model']}, seed {config['seed']}: success, 95 % intervals"
    return curve(series, labels, title)


def _table(rows: list[dict[str, Any]]) -> str:
    out = ["<table><tr><th>round</th>"]
    splits = list(rows[0]["eval"])
    out += [f"<th>{s} success</th><th>95 %</th><th>steps</th>" for s in splits] + [
        "<th>episodes</th><th>loss</th></tr>"
    ]
    for r in rows:
        out.append(f"<tr><td>{'demonstrations' if r['iteration'] == 0 else r['iteration']}</td>")
        for s in splits:
            e = r["eval"][s]
            low, high = e["success"]["ci95"]
            out.append(
                f"<td>{e['success']['mean']:.1%}</td><td>{low:.1%}–{high:.1%}</td><td>{e['steps']['mean']:.1f}</td>"
            )
        out.append(f"<td>{r['episodes']}</td><td>{r['fit'].get('loss', float('nan')):.4f}</td></tr>")
    return "".join(out) + "</table>"


def _fixes(t: Trajectory) -> dict[int, Any]:
    """What is to be learned at the steps of one agent's episode that did otherwise, by the step's number."""
    told = [] if t.steps[0].parts else t.meta.get("corrections", [])
    return {i: c for i, c in enumerate(told) if c[0] is not None and c[0] != t.steps[i].action}


def _episode(t: Trajectory, most: int = 25) -> str:
    fixes = _fixes(t)
    out = [
        f"<div><h4>{'success' if t.success else 'failure'} in {len(t.steps)} steps</h4><pre>{html.escape(t.steps[0].observation)}</pre>"
    ]
    for i, s in enumerate(t.steps[:most]):
        after = t.steps[i + 1].observation if i + 1 < len(t.steps) else t.final
        mark = "good" if s.success else "bad" if i in fixes or s.invalid else ""
        fix = ""
        if i in fixes:
            action, reason, _ = fixes[i]
            fix = f'<br><span class="fix">teacher: {html.escape(action)}</span> <small>{html.escape(reason or "")}</small>'
        out.append(
            f'<div class="step {mark}"><b>{html.escape(s.action)}</b>{fix}<br><small>{html.escape(after[:240])}</small></div>'
        )
    if len(t.steps) > most:
        out.append(f"<small>… {len(t.steps) - most} more steps</small>")
    return "".join(out) + "</div>"


def _why(run: RunDir, rows: list[dict[str, Any]]) -> str:
    split = next(iter(reversed(list(rows[0]["eval"]))))
    last = rows[-1]["iteration"]
    before, _ = read(run.part("trajectories", f"00-eval-{split}.jsonl.zst"))
    after, _ = read(run.part("trajectories", f"{last:02d}-eval-{split}.jsonl.zst"))
    out = []
    cured = [(a, b) for a, b in zip(before, after, strict=True) if not a.success and b.success][:3]
    if cured:
        out.append(f"<h2>What it learned to do ({split})</h2>")
    for a, b in cured:
        out.append(
            f'<h3>{html.escape(a.task)}: {html.escape(a.goal)}</h3><div class="pair">{_episode(a)}{_episode(b)}</div>'
        )
    if last > 0:
        taught, _ = read(run.part("trajectories", "01-train.jsonl.zst"))
        if taught and _fixes(taught[0]):
            out.append(f"<h2>What the teacher said</h2><h3>{html.escape(taught[0].goal)}</h3>{_episode(taught[0])}")
    return "".join(out)


def write_report(run: RunDir) -> None:
    """Write `report.html` and `curve.svg` of a finished run."""
    config, rows = run.config(), run.iterations()
    svg = run_curve(config, rows)
    hyper = "".join(f"<tr><td>{k}</td><td>{html.escape(str(v))}</td></tr>" for k, v in config["hyper"].items())
    title = html.escape(f"{config['method']} on {config['env']}")
    versions = ", ".join(f"{k} {v}" for k, v in config["versions"].items())
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><style>{STYLE}</style>"
        f"<h1>{title}</h1><p>model {html.escape(config['model'])}, memory {html.escape(config['memory'])}, "
        f"seed {config['seed']}<br><small>{versions}</small></p>{svg}{_table(rows)}{_why(run, rows)}"
        f"<h2>Settings</h2><table>{hyper}</table></html>"
    )
    save_text(run.path / "curve.svg", svg + "\n")
    save_text(run.path / "report.html", page)
