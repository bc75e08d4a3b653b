"""The constructs that programs are made of: how each is written, and what it needs.

A simple one is a line of text with holes. What is in a hole says what is drawn for it:
`{lock}` one of the program's locks, `{scope}` the name of a scope, and so on; DRAWS in
generate.py has them all. `{n}` is the step's number.
"""

from __future__ import annotations

import dataclasses
import re

from program import Program, Step, walk

HOLE = re.compile(r"{(\w+)}")


@dataclasses.dataclass(frozen=True)
class Simple:
    """A construct of one line.

    Attributes:
        text: the line, with holes.
        weight: how often it is drawn among the others of its family.
    """

    text: str
    weight: int = 4

    @property
    def holes(self) -> list[str]:
        """What has to be drawn."""
        return [hole for hole in HOLE.findall(self.text) if hole != "n"]


def awaits(f: str, weight: int = 4) -> Simple:
    """A step that awaits a call."""
    return Simple(f"await t.{{manner}}({{n}}, {f})", weight)


def calls(f: str, weight: int = 4) -> Simple:
    """A step that makes a call."""
    return Simple(f"t.call({{n}}, {f})", weight)


LOW = "trio.lowlevel"
#: By family. The first ones are in every program, the others where they are drawn.
FAMILIES: dict[str, dict[str, Simple]] = {
    "core": {
        "checkpoint": awaits(f"{LOW}.checkpoint", 9),
        "shielded_checkpoint": awaits(f"{LOW}.cancel_shielded_checkpoint", 3),
        "checkpoint_if_cancelled": awaits(f"{LOW}.checkpoint_if_cancelled", 3),
        "sleep": awaits("trio.sleep, {seconds}", 10),
        "sleep_until": awaits("trio.sleep_until, {time}", 4),
        "sleep_forever": awaits("trio.sleep_forever", 2),
        "cancel": calls("t.cancel, {scope}, {reason}", 12),
        "set_deadline": calls("t.put, {scope}, 'deadline', {deadline}", 6),
        "set_shield": calls("t.put, {scope}, 'shield', {flag}", 6),
        "look_at_scope": calls("t.state, {scope}", 4),
        "effective_deadline": calls("trio.current_effective_deadline", 3),
        "raise": Simple("raise {error}", 7),
        "return": Simple("return {number}", 5),
        "jump": calls("t.clock.jump, {seconds}", 2),
        "idle": awaits("trio.testing.wait_all_tasks_blocked, {cushion}", 3),
        "children": calls("t.children, {nursery}", 2),
        "run_statistics": calls(f"{LOW}.current_statistics", 3),
        "parents": calls("t.parents", 2),
        "started": calls("task_status.started, {number}", 0),
    },
    "lock": {
        "lock_acquire": awaits("{lock}.acquire", 8),
        "lock_acquire_nowait": calls("{lock}.acquire_nowait", 3),
        "lock_release": calls("{lock}.release", 7),
        "lock_statistics": calls("{lock}.statistics", 4),
        "lock_locked": calls("{lock}.locked", 5),
    },
    "semaphore": {
        "semaphore_acquire": awaits("{semaphore}.acquire", 8),
        "semaphore_acquire_nowait": calls("{semaphore}.acquire_nowait", 4),
        "semaphore_release": calls("{semaphore}.release", 7),
        "semaphore_value": calls("repr, {semaphore}.value", 4),
        "semaphore_statistics": calls("{semaphore}.statistics", 4),
    },
    "condition": {
        "condition_acquire": awaits("{condition}.acquire", 6),
        "condition_wait": awaits("{condition}.wait", 6),
        "condition_notify": calls("{condition}.notify, {small}", 5),
        "condition_notify_all": calls("{condition}.notify_all", 4),
        "condition_release": calls("{condition}.release", 4),
        "condition_statistics": calls("{condition}.statistics", 5),
    },
    "event": {
        "event_wait": awaits("{event}.wait", 8),
        "event_set": calls("{event}.set", 4),
        "event_is_set": calls("{event}.is_set", 4),
        "event_statistics": calls("{event}.statistics", 4),
    },
    "limiter": {
        "limiter_acquire": awaits("{limiter}.acquire", 7),
        "limiter_acquire_for": awaits("{limiter}.acquire_on_behalf_of, {borrower}", 5),
        "limiter_acquire_nowait": calls("{limiter}.acquire_nowait", 4),
        "limiter_acquire_for_nowait": calls(
            "{limiter}.acquire_on_behalf_of_nowait, {borrower}", 5
        ),
        "limiter_release": calls("{limiter}.release", 6),
        "limiter_release_for": calls("{limiter}.release_on_behalf_of, {borrower}", 4),
        "limiter_total": calls("setattr, {limiter}, 'total_tokens', {tokens}", 4),
        "limiter_statistics": calls("{limiter}.statistics", 4),
        "limiter_available": calls("repr, {limiter}.available_tokens", 4),
    },
    "lot": {
        "lot_park": awaits("{lot}.park", 16),
        "lot_unpark": calls("{lot}.unpark, count={small}", 5),
        "lot_unpark_all": calls("{lot}.unpark_all", 5),
        "lot_repark": calls("{lot}.repark, {lot2}, count={small}", 4),
        "lot_repark_all": calls("{lot}.repark_all, {lot2}", 5),
        "lot_break": calls("{lot}.break_lot", 5),
        "lot_breaker": calls(f"{LOW}.add_parking_lot_breaker, t.me(), {{lot}}", 5),
        "lot_no_breaker": calls(
            f"{LOW}.remove_parking_lot_breaker, t.me(), {{lot}}", 5
        ),
        "lot_statistics": calls("{lot}.statistics", 5),
        "lot_length": calls("len, {lot}", 5),
    },
    "channel": {
        "send": awaits("{sender}.send, {number}", 9),
        "send_nowait": calls("{sender}.send_nowait, {number}", 5),
        "receive": awaits("{receiver}.receive", 9),
        "receive_nowait": calls("{receiver}.receive_nowait", 5),
        "close_sender": calls("{sender}.close", 4),
        "close_receiver": calls("{receiver}.close", 4),
        "aclose": awaits("{end}.aclose", 4),
        "clone": calls("t.clone, {end_name}", 5),
        "drain": awaits("t.drain, {n}, {receiver}", 5),
        "channel_statistics": calls("{end}.statistics", 5),
    },
    "raw": {
        "suspend": awaits("t.suspend, {n}, {abort}", 10),
        "wake": calls("t.wake, {woken}", 8),
    },
    "soon": {
        "soon_cancel": calls("t.soon, t.cancel, {scope}, {reason}", 6),
        "soon_shield": calls("t.soon, t.put, {scope}, 'shield', {flag}", 3),
        "soon_wake": calls("t.soon, t.wake, {woken}", 5),
        "soon_once": calls("t.soon, t.cancel, {scope}, 'once'", 4),
        "soon_look": calls("t.soon, t.state, {scope}", 5),
        "suspend_too": awaits("t.suspend, {n}, {abort}", 4),
    },
    "instrument": {
        "add_instrument": calls(f"{LOW}.add_instrument, {{instrument}}", 4),
        "remove_instrument": calls(f"{LOW}.remove_instrument, {{instrument}}", 4),
    },
    "misnest": {
        "enter_by_hand": calls("t.scope({free_name}).__enter__", 6),
        "leave_by_hand": calls("t.leave, {free_name}", 6),
        "enter_twice": calls("t.scope({scope}).__enter__", 8),
    },
    "context": {
        "set_var": calls("t.var.set, {number}", 5),
        "get_var": calls("t.var.get", 5),
    },
}
SIMPLE = {kind: one for family in FAMILIES.values() for kind, one in family.items()}

#: The constructs with bodies: family -> kind -> weight.
NESTED: dict[str, dict[str, int]] = {
    "core": {
        "scope": 6,
        "early_scope": 4,
        "move_on_after": 7,
        "move_on_at": 4,
        "fail_after": 5,
        "fail_at": 3,
        "shield": 5,
        "nursery": 12,
        "start_soon": 22,
        "start": 14,
        "try": 8,
        "finally": 6,
        "cleanup": 5,
        "system_task": 4,
    },
    "lock": {"with_lock": 6},
    "semaphore": {"with_semaphore": 6},
    "condition": {"with_condition": 10},
    "limiter": {"with_limiter": 5},
    "channel": {"with_clone": 6, "with_receiver": 6},
}
INDENT = "    "


def indented(lines: list[str]) -> list[str]:
    """A block's lines, moved in; never empty."""
    return [INDENT + line for line in lines or ["pass"]]


def block(steps: list[Step]) -> list[str]:
    """The lines of a body."""
    return indented([line for step in steps for line in lines_of(step)])


def lines_of(step: Step) -> list[str]:
    """The lines of a step; the functions of tasks are elsewhere."""
    if step.kind in SIMPLE:
        return [SIMPLE[step.kind].text.format(n=step.number, **step.args)]
    return WRITERS[step.kind](step)


def with_scope(step: Step) -> list[str]:
    """A scope that is made where it is entered."""
    n, made = step.number, step.args["made"]
    head = f"with t.keep('s{n}', {made}) as s{n}:"
    return [head, *block(step.blocks[0]), f"t.call({n}, t.state, 's{n}')"]


def early_scope(step: Step) -> list[str]:
    """A scope that exists from the beginning, and may be cancelled before."""
    n = step.number
    return [f"with t['s{n}']:", *block(step.blocks[0]), f"t.call({n}, t.state, 's{n}')"]


def fail_scope(step: Step) -> list[str]:
    """A scope that raises TooSlowError."""
    n, made = step.number, step.args["made"]
    keep = f"{INDENT}t.keep('s{n}', s{n})"
    return [f"with {made} as s{n}:", keep, *block(step.blocks[0])]


def nursery(step: Step) -> list[str]:
    """A nursery."""
    n, strict = step.number, step.args["strict"]
    option = "" if strict is None else f"strict_exception_groups={strict}"
    head = f"async with trio.open_nursery({option}) as n{n}:"
    keep = f"{INDENT}t.keep('n{n}', n{n})"
    after = f"t.call({n}, t.state, 'n{n}')"
    return [head, keep, *block(step.blocks[0]), after]


def spawn(step: Step) -> list[str]:
    """Another task, in a nursery found by its name."""
    n, into = step.number, step.args.get("nursery")
    if step.kind == "start":
        manner = step.args["manner"]
        return [f"await t.{manner}({n}, t.start, {into}, t{n}, 't{n}')"]
    if step.kind == "system_task":
        return [f"t.call({n}, {LOW}.spawn_system_task, t{n}, name='t{n}')"]
    return [f"t.call({n}, t.start_soon, {into}, t{n}, 't{n}')"]


def attempt(step: Step) -> list[str]:
    """try, except, and what is raised out of it."""
    n, again = step.number, step.args["again"]
    lines = ["try:", *block(step.blocks[0]), f"except {step.args['what']} as e{n}:"]
    lines += [f"{INDENT}t.caught({n}, e{n})", *block(step.blocks[1])]
    if again == "raise":
        lines.append(f"{INDENT}raise")
    elif again:
        error = step.args["error"]
        origin = {"raise new": "", "raise from": f" from e{n}"}.get(again, " from None")
        lines.append(f"{INDENT}raise {error}{origin}")
    return lines


def cleaning(step: Step) -> list[str]:
    """try and finally."""
    return ["try:", *block(step.blocks[0]), "finally:", *block(step.blocks[1])]


def shielded_cleaning(step: Step) -> list[str]:
    """try and finally, where the latter is shielded for a while."""
    n, made = step.number, step.args["made"]
    inner = [f"with t.keep('s{n}', {made}) as s{n}:", *block(step.blocks[1])]
    return ["try:", *block(step.blocks[0]), "finally:", *indented(inner)]


def with_thing(step: Step) -> list[str]:
    """async with a lock or its like, or with an end of a channel."""
    return [f"async with {step.args['thing']}:", *block(step.blocks[0])]


def with_clone(step: Step) -> list[str]:
    """With another end of a channel, closed when it is over."""
    n, end = step.number, step.args["thing"]
    head = f"with t.keep('c{n}', {end}.clone()):"
    return [head, *block(step.blocks[0])]


WRITERS = {
    "scope": with_scope,
    "move_on_after": with_scope,
    "move_on_at": with_scope,
    "shield": with_scope,
    "early_scope": early_scope,
    "fail_after": fail_scope,
    "fail_at": fail_scope,
    "nursery": nursery,
    "start_soon": spawn,
    "start": spawn,
    "system_task": spawn,
    "try": attempt,
    "finally": cleaning,
    "cleanup": shielded_cleaning,
    "with_lock": with_thing,
    "with_semaphore": with_thing,
    "with_condition": with_thing,
    "with_limiter": with_thing,
    "with_receiver": with_thing,
    "with_clone": with_clone,
}


def function(name: str, steps: list[Step], arguments: str) -> list[str]:
    """The function of a task."""
    head = f"async def {name}({arguments}):"
    return ["@t.task", head, *block(steps), ""]


def source(program: Program) -> str:
    """A program's text: a function of the library and of a World."""
    lines = [
        f"{name} = t.keep({name!r}, {made})" for name, made in program.objects.items()
    ]
    if program.once:
        lines.append("t.once = True")
    for step in walk(program.body):
        if step.kind == "early_scope":
            lines.append(f"t.keep('s{step.number}', {step.args['made']})")
    status = "task_status=trio.TASK_STATUS_IGNORED"
    for step in reversed([*walk(program.body)]):
        if step.kind in ("start_soon", "start", "system_task"):
            lines += ["", *function(f"t{step.number}", step.blocks[0], status)]
    lines += ["", *function("main", program.body, status)]
    watching = "".join(f"{name}, " for name in program.instruments)
    lines.append(f"t.run(main, {program.seed}, {program.strict}, ({watching}))")
    return "\n".join(["def program(trio, t):", *indented(lines), ""])
