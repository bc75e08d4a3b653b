"""Draws programs: the same seed, the same program.

A program takes two to four families of constructs beside the core, and one or two
objects of each, so that its tasks get into each other's way.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

from constructs import FAMILIES, NESTED, SIMPLE
from program import Program, Step, walk

MOST_TASKS, MOST_STEPS = 12, 60
SPAWNS = ("start_soon", "start", "system_task")
SECONDS = ("0.0", "0.5", "1.0", "1.0", "1.0", "1.5", "2.0", "2.0", "3.0", "5.0")
TIMES = ("0.0", "1.0", "2.0", "2.5", "3.0", "4.0", "6.0", "9.0")
DEADLINES = (
    "0.0",
    "1.0",
    "2.0",
    "3.0",
    "4.5",
    "6.0",
    "trio.current_time()",
    "math.inf",
    "-math.inf",
)
#: Where instruments act; not at task_scheduled, which may come in the order of a set.
HOOKS = ["task_spawned", "task_exited"]
HOOKS += ["before_task_step", "after_task_step", "before_io_wait", "after_io_wait"]

#: What tasks do that share a thing, by its family; `sleep` puts some behind others.
CREWS: dict[str, list[tuple[str, ...]]] = {
    "lock": [
        ("with_lock", "sleep"),
        ("checkpoint", "with_lock", "checkpoint"),
        ("lock_acquire", "lock_statistics", "sleep", "lock_release"),
    ],
    "semaphore": [
        ("with_semaphore", "sleep"),
        ("checkpoint", "with_semaphore", "checkpoint"),
        ("sleep", "semaphore_release", "semaphore_release"),
    ],
    "condition": [
        ("with_condition", "condition_wait"),
        ("with_condition", "condition_wait"),
        ("with_condition", "condition_wait", "checkpoint"),
        ("sleep", "with_condition", "condition_notify", "sleep"),
        ("sleep", "with_condition", "condition_notify_all"),
        ("sleep", "with_condition", "checkpoint"),
    ],
    "limiter": [
        ("with_limiter", "sleep"),
        ("limiter_acquire_for", "sleep", "limiter_release_for"),
        ("checkpoint", "with_limiter", "checkpoint"),
        ("sleep", "limiter_total"),
    ],
    "lot": [
        ("lot_park",),
        ("lot_park", "lot_park"),
        ("sleep", "lot_unpark", "checkpoint", "lot_unpark"),
        ("checkpoint", "lot_repark", "sleep", "lot_unpark_all"),
    ],
    "event": [("event_wait",), ("sleep", "event_statistics", "event_set")],
    "channel": [
        ("send", "send"),
        ("receive", "receive"),
        ("sleep", "receive_nowait", "send_nowait"),
    ],
    "raw": [("suspend",), ("suspend",), ("sleep", "wake", "wake")],
}


class Maker:
    """Draws one program."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.program = Program(seed, rng.random() < 0.7, rng.random() < 0.4)
        others = [name for name in FAMILIES if name != "core"]
        self.families = ["core", *rng.sample(others, rng.choice((2, 2, 3, 3, 4, 5)))]
        self.tasks = rng.randint(2, MOST_TASKS) - 1
        self.steps = min(rng.randint(8, MOST_STEPS), rng.randint(8, MOST_STEPS) + 6)
        self.numbers = itertools.count(1)
        self.things: dict[str, list[str]] = {}
        self.make_things()
        self.weigh()

    def weigh(self) -> None:
        """Lay out the constructs that may be drawn, with their weights."""
        kinds: dict[str, int] = {}
        for family in self.families:
            boost = 2 if family == "core" else 5
            for kind, simple in FAMILIES[family].items():
                kinds[kind] = simple.weight * boost
            for kind, weight in NESTED.get(family, {}).items():
                kinds[kind] = weight * boost
        self.kinds = list(kinds)
        self.weights = list(itertools.accumulate(kinds.values()))

    # --- objects -------------------------------------------------------------------

    def thing(self, sort: str, name: str, made: str) -> None:
        """Have something in the program that exists from the beginning."""
        self.program.objects[name] = made
        self.things.setdefault(sort, []).append(name)

    def make_things(self) -> None:
        """Make the objects of the families."""
        for family in self.families:
            maker = getattr(self, f"make_{family}", None)
            count = 2 if family == "lot" else self.rng.choice((1, 1, 2))
            for number in range(count if maker else 0):
                maker(number)  # type: ignore[misc]

    def make_lock(self, number: int) -> None:
        made = self.rng.choice(("Lock", "Lock", "StrictFIFOLock"))
        self.thing("lock", f"lk{number}", f"trio.{made}()")

    def make_semaphore(self, number: int) -> None:
        value = self.rng.randint(0, 2)
        most = self.rng.choice(("", f", max_value={value + self.rng.randint(0, 2)}"))
        self.thing("semaphore", f"se{number}", f"trio.Semaphore({value}{most})")

    def make_condition(self, number: int) -> None:
        made = self.program.objects
        locks = [name for name in made if made[name] == "trio.Lock()"]
        lock = locks[0] if locks and self.rng.random() < 0.5 else ""
        self.thing("condition", f"cd{number}", f"trio.Condition({lock})")

    def make_event(self, number: int) -> None:
        self.thing("event", f"ev{number}", "trio.Event()")

    def make_limiter(self, number: int) -> None:
        total = self.rng.choice(("1", "1", "2", "3", "math.inf"))
        self.thing("limiter", f"li{number}", f"trio.CapacityLimiter({total})")

    def make_lot(self, number: int) -> None:
        self.thing("lot", f"lo{number}", "trio.lowlevel.ParkingLot()")

    def make_channel(self, number: int) -> None:
        size = self.rng.choice(("0", "0", "1", "2", "3", "math.inf"))
        ends = f"trio.open_memory_channel({size})"
        self.thing("channel", f"ch{number}", ends)
        for sort, letter, index in (("sender", "tx", 0), ("receiver", "rx", 1)):
            name = f"{letter}{number}"
            self.thing(sort, name, f"ch{number}[{index}]")
            if self.rng.random() < 0.4:
                self.thing(sort, f"{name}b", f"{name}.clone()")

    def make_instrument(self, number: int) -> None:
        name, acting = f"in{number}", ""
        if self.rng.random() < 0.5:
            hook, count = self.rng.choice(HOOKS), self.rng.randint(1, 8)
            act = self.rng.choice(("t.cancel(SCOPE, 'watched')", "t.fail('watching')"))
            acting = f", {hook!r}, {count}, lambda: {act}"
        self.thing("instrument", name, f"t.watch({name!r}{acting})")
        if self.rng.random() < 0.6:
            self.program.instruments.append(name)

    def make_misnest(self, number: int) -> None:
        self.thing("free", f"f{number}", f"trio.CancelScope({self.options()})")

    # --- what goes into holes ------------------------------------------------------

    def pick(self, sort: str) -> str:
        """One of the program's objects."""
        return self.rng.choice(self.things[sort])

    def options(self) -> str:
        """The arguments of a CancelScope."""
        chosen = self.rng.choice(
            ("", "", "deadline={}", "relative_deadline={}", "shield=True, deadline={}")
        )
        return chosen.format(self.draw_time())

    def error(self) -> str:
        """An exception to raise."""
        n = self.rng.randint(0, 9)
        return self.rng.choice(
            (
                f"ValueError('v{n}')",
                f"KeyError({n})",
                f"t.Oops({n}, 'why')",
                f"t.Doom({n})",
                f"t.Group('g{n}', [ValueError({n}), KeyError('k')])",
                f"t.Group('g', [t.Group('h', [t.Oops({n})]), t.Doom()])",
            )
        )

    def hole(self, name: str) -> Any:
        """What is drawn for a hole; names of scopes and nurseries come last of all."""
        if name in self.things:
            return self.pick(name)
        return getattr(self, f"draw_{name}")()

    def draw_manner(self) -> str:
        return self.rng.choice(("do", "do", "let"))

    def draw_seconds(self) -> str:
        return self.rng.choice(SECONDS)

    def draw_time(self) -> str:
        return self.rng.choice(TIMES)

    def draw_deadline(self) -> str:
        return self.rng.choice(DEADLINES)

    def draw_scope(self) -> str:
        return "SCOPE"

    def draw_nursery(self) -> str:
        return "NURSERY"

    def draw_free_name(self) -> str:
        return repr(self.pick("free"))

    def draw_reason(self) -> str:
        return self.rng.choice(("None", f"'r{self.rng.randint(0, 99)}'"))

    def draw_flag(self) -> str:
        return self.rng.choice(("True", "False"))

    def draw_error(self) -> str:
        return self.error()

    def draw_number(self) -> str:
        return str(self.rng.randint(0, 99))

    def draw_small(self) -> str:
        return self.rng.choice(("1", "1", "2", "3", "math.inf", "0"))

    def draw_cushion(self) -> str:
        return self.rng.choice(("0.0", "0.0", "0.001"))

    def draw_borrower(self) -> str:
        return self.rng.choice(("'x'", "'x'", "'y'", "7"))

    def draw_tokens(self) -> str:
        return self.rng.choice(("0", "1", "2", "3", "math.inf", "1.5", "-1"))

    def draw_lot2(self) -> str:
        return self.pick("lot")

    def draw_end(self) -> str:
        return self.pick(self.rng.choice(("sender", "receiver")))

    def draw_end_name(self) -> str:
        return repr(self.draw_end())

    def draw_abort(self) -> str:
        return self.rng.choice(("'yield'", "'yield'", "'refuse'", "'later'"))

    def draw_woken(self) -> str:
        return self.rng.choice(("None", "5", "ValueError('woken')", "t.Doom('woken')"))

    def draw_instrument(self) -> str:
        return self.pick("instrument")

    # --- steps ---------------------------------------------------------------------

    def block(self, size: int, depth: int) -> list[Step]:
        """So many steps, if there are as many left; a raise or return is the last."""
        steps: list[Step] = []
        while len(steps) < size and self.steps > 0:
            kind = self.rng.choices(self.kinds, cum_weights=self.weights)[0]
            if kind in ("raise", "return") and len(steps) + 1 < size:
                continue
            if kind in SPAWNS and self.tasks <= 0:
                continue
            if kind not in SIMPLE and (depth > 5 or self.steps < 3):
                continue
            steps.append(self.step(kind, depth))
        return steps

    def step(self, kind: str, depth: int) -> Step:
        """A step of this kind, with what is inside."""
        self.steps -= 1
        step = Step(kind, next(self.numbers))
        if kind in SIMPLE:
            step.args = {hole: self.hole(hole) for hole in SIMPLE[kind].holes}
            return step
        step.args = self.arguments(kind)
        if kind in SPAWNS:
            step.blocks = [self.task_body(kind, depth)]
        elif kind == "nursery":
            step.blocks = [self.nursery_body(depth)]
        elif kind in ("try", "finally", "cleanup"):
            small = self.rng.randint(1, 2)
            sizes = (self.rng.randint(1, 4), small)
            step.blocks = [self.block(size, depth + 1) for size in sizes]
        else:
            step.blocks = [self.block(self.rng.randint(1, 4), depth + 1)]
        return step

    def nursery_body(self, depth: int) -> list[Step]:
        """The body of a nursery: some tasks, and what else is drawn."""
        steps: list[Step] = []
        for _ in range(self.rng.choice((0, 1, 1, 2))):
            steps += self.crew(depth)
        for _ in range(self.rng.choice((1, 2, 2, 3))):
            if self.tasks > 0 and self.steps > 2:
                kind = self.rng.choice(("start_soon", "start_soon", "start"))
                steps.append(self.step(kind, depth))
        return steps + self.block(self.rng.randint(0, 4), depth + 1)

    def crew(self, depth: int) -> list[Step]:
        """Tasks that want the same thing: left to chance, they hardly ever meet."""
        crews = [family for family in self.families if family in CREWS]
        steps: list[Step] = []
        if not crews:
            return steps
        family = self.rng.choice(crews)
        thing = self.pick(family) if family in self.things else ""
        for role in self.rng.choices(CREWS[family], k=self.rng.choice((2, 3, 4, 5))):
            if self.tasks > 0 and self.steps > len(role):
                self.tasks -= 1
                self.steps -= 1
                spawn = Step("start_soon", next(self.numbers), {"nursery": "NURSERY"})
                body = self.play(role, family, thing, depth)
                spawn.blocks = [body + self.block(self.rng.randint(0, 2), depth + 1)]
                steps.append(spawn)
        return steps

    def play(
        self, role: tuple[str, ...], family: str, thing: str, depth: int
    ) -> list[Step]:
        """The steps of a role; what comes after a `with_…` is inside it."""
        steps = []
        for place, kind in enumerate(role):
            if kind in SIMPLE:
                steps.append(self.step(kind, depth))
                if family in steps[-1].args:
                    steps[-1].args[family] = thing
                continue
            self.steps -= 1
            outer = Step(kind, next(self.numbers), {"thing": thing})
            outer.blocks = [self.play(role[place + 1 :], family, thing, depth)]
            return [*steps, outer]
        return steps

    def task_body(self, kind: str, depth: int) -> list[Step]:
        """The body of a task; one that is started says so, mostly."""
        self.tasks -= 1
        steps = self.block(self.rng.randint(1, 7), depth + 1)
        if kind == "start":
            for _ in range(self.rng.choice((0, 1, 1, 1, 1, 1, 1, 2))):
                if self.steps > 0:
                    place = self.rng.randint(0, min(2, len(steps)))
                    steps.insert(place, self.step("started", depth))
        return steps

    def arguments(self, kind: str) -> dict[str, Any]:
        """What a construct with a body needs."""
        seconds, time = self.draw_seconds(), self.draw_time()
        made = {
            "scope": f"trio.CancelScope({self.options()})",
            "early_scope": f"trio.CancelScope({self.options()})",
            "move_on_after": f"trio.move_on_after({seconds})",
            "move_on_at": f"trio.move_on_at({time})",
            "fail_after": f"trio.fail_after({seconds})",
            "fail_at": f"trio.fail_at({time})",
            "shield": f"trio.move_on_after({seconds}, shield=True)",
            "cleanup": f"trio.move_on_after({seconds}, shield=True)",
        }
        if kind in made:
            return {"made": made[kind]}
        if kind == "nursery":
            return {"strict": self.rng.choice((None, None, True, False))}
        if kind == "start":
            return {"nursery": "NURSERY", "manner": self.draw_manner()}
        if kind == "start_soon":
            return {"nursery": "NURSERY"}
        if kind == "try":
            what = ("Exception", "BaseException", "trio.Cancelled", "t.Group")
            again = ("", "raise", "raise", "raise new", "raise from", "raise from None")
            return {
                "what": self.rng.choice(what),
                "again": self.rng.choice(again),
                "error": self.error(),
            }
        if kind.startswith("with_"):
            sort = {"with_clone": "end"}.get(kind, kind[5:])
            return {"thing": self.hole(sort)}
        return {}

    def make(self) -> Program:
        """Draw the whole."""
        body = self.program.body
        while self.steps > 3 and len(body) < 3:
            body.append(self.step("nursery", 0))
            body += self.block(self.rng.randint(0, 2), 0)
        self.fill_in()
        return self.program

    def fill_in(self) -> None:
        """Give steps that need a scope or a nursery the name of one."""
        names = {"SCOPE": list(self.things.get("free", [])), "NURSERY": []}
        for step in walk(self.program.body):
            if step.kind == "nursery":
                names["NURSERY"].append(f"n{step.number}")
                names["SCOPE"].append(f"n{step.number}")
            elif "made" in step.args:
                names["SCOPE"].append(f"s{step.number}")
        self.fill_block(self.program.body, names, [])
        for name, made in self.program.objects.items():
            if "SCOPE" in made:
                scope = repr(self.rng.choice(names["SCOPE"] or ["none"]))
                self.program.objects[name] = made.replace("SCOPE", scope)

    def fill_block(
        self, steps: list[Step], names: dict[str, list[str]], outer: list[str]
    ) -> None:
        """Fill in a block's names; nurseries that are open here come first."""
        for step in steps:
            for key, value in step.args.items():
                if value == "SCOPE":
                    step.args[key] = repr(self.rng.choice(names["SCOPE"] or ["none"]))
                elif value == "NURSERY":
                    near = outer[-1:] * 6 + outer + names["NURSERY"]
                    step.args[key] = repr(self.rng.choice(near or ["none"]))
            inner = [*outer, f"n{step.number}"] if step.kind == "nursery" else outer
            for block in step.blocks:
                self.fill_block(block, names, inner)


def generate(seed: int) -> Program:
    """The program of a seed."""
    return Maker(seed).make()
