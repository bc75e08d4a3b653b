"""The table for people and the JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from setting import Result, Setting
from slices import Goal, Limit

NAME_WIDTH = 16
TITLE_WIDTH = 38
FIGURE_WIDTH = 11


def figure(value: float | None) -> str:
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}"


def share(ratio: float) -> str:
    """A ratio as people say it: 1/27.3, or 0.97 when the two are near."""
    if 0 < ratio < 0.5:
        return f"1/{1 / ratio:.1f}"
    return f"{ratio:.2f}"


def shown(value: float, goal: Goal | Limit) -> str:
    """A figure in the words of the goal that it is to be compared with."""
    return share(value) if isinstance(goal, Goal) and goal.is_part else figure(value)


def verdict(result: Result, goal: Goal | Limit, ours: str) -> str:
    found = result.measured(ours, goal)
    if ours in result.failures:
        return "short, it failed"
    if found is None:
        return "short, not measured"
    if found.middle <= goal.most:
        return "ok"
    if goal.most == 0:
        return "short"
    return f"short by {found.middle / goal.most - 1:.0%}"


def figures_table(results: list[Result], setting: Setting) -> list[str]:
    labels = [impl.label for impl in setting.impls]
    head = f"{'row':{NAME_WIDTH}}{'':{TITLE_WIDTH}}{'unit':>6}"
    lines = [head + "".join(f"{label:>{FIGURE_WIDTH}}" for label in labels)]
    for result in results:
        line = f"{result.name:{NAME_WIDTH}}{result.row.title:{TITLE_WIDTH}}"
        line += f"{result.row.unit:>6}"
        for label in labels:
            line += f"{figure(result.middle(label)):>{FIGURE_WIDTH}}"
        lines.append(line)
    return lines


def ratios_table(results: list[Result], setting: Setting) -> list[str]:
    ours = setting.ours.label
    peers = [impl.label for impl in setting.peers]
    head = f"{f'{ours} / peer':{NAME_WIDTH + TITLE_WIDTH + 6}}"
    lines = [head + "".join(f"{peer:>{FIGURE_WIDTH}}" for peer in peers)]
    for result in results:
        line = f"{result.name:{NAME_WIDTH}}{result.row.title:{TITLE_WIDTH + 6}}"
        for peer in peers:
            ratio = result.ratio(ours, peer)
            line += f"{share(ratio.middle) if ratio else '-':>{FIGURE_WIDTH}}"
        lines.append(line)
    return lines


def goals_table(results: list[Result], setting: Setting) -> list[str]:
    ours = setting.ours.label
    lines = [f"{'goal':{NAME_WIDTH}}{'':22}{'measured':>10}   {'middle half':22}"]
    for result in results:
        for goal in result.row.goals:
            found = result.measured(ours, goal)
            line = f"{result.name:{NAME_WIDTH}}{goal!s:22}"
            if found:
                half = f"{shown(found.low, goal)} to {shown(found.high, goal)}"
                line += f"{shown(found.middle, goal):>10}   {half:22}"
            else:
                line += f"{'-':>10}   {'':22}"
            lines.append(line + verdict(result, goal, ours))
    return lines


def remarks(results: list[Result]) -> list[str]:
    lines = []
    for result in results:
        if result.notes:
            lines += [f"{result.name}: {result.row.title}"]
            lines += [f"  {note}" for note in result.notes]
        for label, failure in result.failures.items():
            lines.append(f"{result.name}: {label} did not run: {failure}")
    return lines


def as_text(results: list[Result], setting: Setting) -> str:
    parts = [figures_table(results, setting), ratios_table(results, setting)]
    if any(result.row.goals for result in results):
        parts.append(goals_table(results, setting))
    parts.append(remarks(results))
    return "\n\n".join("\n".join(part) for part in parts if part)


def row_as_data(result: Result, setting: Setting) -> dict[str, Any]:
    ours = setting.ours.label
    ratios = {}
    for peer in setting.peers:
        ratio = result.ratio(ours, peer.label)
        if ratio:
            ratios[peer.label] = dataclasses.asdict(ratio)
    labels = [impl.label for impl in setting.impls]
    return {
        "name": result.name,
        "title": result.row.title,
        "unit": result.row.unit,
        "clock": result.row.clock,
        "medians": {label: result.middle(label) for label in labels},
        "ratios": ratios,
        "goals": [
            {**dataclasses.asdict(goal), "verdict": verdict(result, goal, ours)}
            for goal in result.row.goals
        ],
        "failures": result.failures,
        "slices": [dataclasses.asdict(sample) for sample in result.samples],
    }


def write_json(
    path: Path, results: list[Result], setting: Setting, facts: dict[str, Any]
) -> None:
    rows = [row_as_data(result, setting) for result in results]
    document = {**facts, "quick": setting.quick, "rows": rows}
    path.write_text(json.dumps(document, indent=1) + "\n")


def is_far_short(result: Result, ours: str) -> bool:
    """Whether it misses a goal by more than a quarter, or gave no figure for one."""
    for goal in result.row.goals:
        found = result.measured(ours, goal)
        if ours in result.failures or found is None or found.middle > goal.most * 1.25:
            return True
    return False


def count_short(results: list[Result], setting: Setting) -> int:
    """How many rows miss a goal of theirs."""
    ours = setting.ours.label
    return sum(any(verdict(r, g, ours) != "ok" for g in r.row.goals) for r in results)
