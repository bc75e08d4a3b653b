"""What a generated program leans on: names, steps that are written down, and the trace.

It is given the library, so the same program runs on Trio and on ctrio. Nothing here
may be seen in the trace by its address, its module or its time.
"""

from __future__ import annotations

import contextvars
import logging
import random
import re
from collections.abc import Awaitable, Callable
from typing import Any

from marks import mark

try:
    BaseExceptionGroup  # noqa: B018
except NameError:
    from exceptiongroup import BaseExceptionGroup  # type: ignore

ADDRESS = re.compile(r"0x[0-9a-f]+")
HOOKS = ["before_run", "after_run", "task_spawned", "task_scheduled", "task_exited"]
HOOKS += ["before_task_step", "after_task_step", "before_io_wait", "after_io_wait"]
STATES = [
    "cancel_called",
    "cancelled_caught",
    "deadline",
    "shield",
    "relative_deadline",
]
#: Where to report what is the library's fault; it may stand in a repr of a repr.
ADVICE = re.compile(
    r"(?s)please (file a|report it as a) bug.*?(issues/new|of ctrio\.)\\*\n?"
)
#: A program that is not over by then is pushed, first gently, then hard.
LIMIT, LAST = 40.0, 60.0


class Oops(Exception):
    """An exception of the program's own."""


class Doom(BaseException):
    """One that `except Exception` lets through."""


class World:
    """The surroundings of one run of one program; `t` in its text."""

    Oops, Doom, Group = Oops, Doom, BaseExceptionGroup

    def __init__(self, trio: Any, outcome: Any) -> None:
        self.trio = trio
        self.outcome = outcome
        self.clock = trio.testing.MockClock(autojump_threshold=0)
        self.var: contextvars.ContextVar[int] = contextvars.ContextVar("var", default=0)
        self.lines: list[tuple[str, bool]] = []
        self.named: dict[str, Any] = {}
        self.kept: list[Any] = []
        self.names: dict[int, str] = {}
        self.parked: list[Any] = []
        self.token: Any = None
        self.running = False
        #: Each other call from outside is idempotent. Trio promises no order between
        #: the two, but has one.
        self.once = False
        self.soons = 0
        self.closing = False
        self.is_outside = False

    # --- the trace -----------------------------------------------------------------

    def log(self, step: int | str, text: str) -> None:
        """Write down that something happened, where and when."""
        if self.running:
            try:
                who = self.trio.lowlevel.current_task().name
            except RuntimeError:
                who = "-"
            text = f"{self.clock.current_time():g} {who} {step}: {text}"
        else:
            text = f"{step}: {text}"
        self.lines.append((text, False))

    def loose(self, text: str) -> None:
        """Write down what Trio does in the order of a set: it is not compared."""
        self.lines.append((f"{self.clock.current_time():g} {text}", True))

    def trace(self) -> list[str]:
        """All that was written down; what is in no order among itself, sorted."""
        result: list[str] = []
        pending: list[str] = []
        for text, is_loose in self.lines:
            if is_loose:
                pending.append(text)
            else:
                result += sorted(pending)
                pending.clear()
                result.append(text)
        return result + sorted(pending)

    def show(self, value: Any) -> str:
        """A value in words that are the same for both libraries."""
        if isinstance(value, float):
            return f"{value:g}"
        if value is None or isinstance(value, int | str):
            return repr(value)
        name = self.names.get(id(value))
        if name is not None:
            return name
        if isinstance(value, self.trio.lowlevel.Task):
            return f"task {value.name}"
        if isinstance(value, BaseException):
            return describe(value)
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(self.show, value))}]"
        if isinstance(value, dict | set | frozenset):
            return f"{{{', '.join(sorted(map(self.show, value)))}}}"
        if "tatistics" in type(value).__name__:
            fields = [
                name
                for name in dir(value)
                if name[0] != "_" and name != "io_statistics"
            ]
            values = {name: getattr(value, name) for name in fields}
            if "borrowers" in values:  # Trio keeps them in a set.
                values["borrowers"] = set(values["borrowers"])
            pairs = {
                name: f"{name}={self.show(value)}" for name, value in values.items()
            }
            return f"<{' '.join(pairs.values())}>"
        return type(value).__name__

    # --- steps ---------------------------------------------------------------------

    async def do(
        self, step: int, f: Callable[..., Awaitable[Any]], *args: Any, **kw: Any
    ) -> Any:
        """Await a call and write down what came of it; its failure ends here."""
        try:
            return await self.let(step, f, *args, **kw)
        except Exception:
            return None

    async def let(
        self, step: int, f: Callable[..., Awaitable[Any]], *args: Any, **kw: Any
    ) -> Any:
        """Await a call and write down what came of it."""
        try:
            result = await f(*args, **kw)
        except BaseException as error:
            self.log(step, f"! {self.show(error)}")
            raise
        self.log(step, self.show(result))
        return result

    def call(
        self, step: int | str, f: Callable[..., Any], *args: Any, **kw: Any
    ) -> Any:
        """Call a function and write down what came of it; its failure ends here."""
        try:
            result = f(*args, **kw)
        except Exception as error:
            self.log(step, f"! {self.show(error)}")
            return None
        self.log(step, self.show(result))
        return result

    def task(self, f: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Let a task's function tell how it ends."""

        async def run(*args: Any, **kw: Any) -> Any:
            self.log("begin", str(self.var.get()))
            try:
                result = await f(*args, **kw)
            except BaseException as error:
                self.log("end", f"! {self.show(error)}")
                raise
            self.log("end", self.show(result))
            return result

        return run

    def caught(self, step: int, error: BaseException) -> None:
        """Write down what an `except` got."""
        self.log(step, f"caught {self.show(error)}")

    # --- names ---------------------------------------------------------------------

    def keep(self, name: str, thing: Any) -> Any:
        """Give a thing a name, by which others find it and the end tells its state."""
        self.kept.append(thing)  # An id that is not used again.
        self.named[name] = thing
        self.names[id(thing)] = name
        return thing

    def __getitem__(self, name: str) -> Any:
        return self.named[name]

    def scope(self, name: str) -> Any:
        """A cancel scope by its name or by its nursery's.

        Raises:
            LookupError: nobody has made it yet.
        """
        if name not in self.named:
            raise LookupError(f"no {name} yet")
        return getattr(self.named[name], "cancel_scope", self.named[name])

    def nursery(self, name: str) -> Any:
        """A nursery by its name.

        Raises:
            LookupError: nobody has opened it yet.
        """
        if name not in self.named:
            raise LookupError(f"no {name} yet")
        return self.named[name]

    # --- what steps call -----------------------------------------------------------

    def cancel(self, name: str, reason: str | None = None) -> None:
        """Cancel a scope."""
        self.scope(name).cancel(reason=reason)

    def put(self, name: str, attribute: str, value: Any) -> None:
        """Set a scope's attribute."""
        if not self.closing:
            setattr(self.scope(name), attribute, value)

    def state(self, name: str) -> str:
        """All that a scope tells of itself."""
        scope, told = self.scope(name), []
        for attribute in STATES:
            try:
                value = getattr(scope, attribute)
                value = float(value) if type(value) is int else value
                told.append(f"{attribute}={value}")
            except RuntimeError as error:
                told.append(f"{attribute}!{error}")
        return " ".join(told)

    def leave(self, name: str) -> Any:
        """Leave a scope by hand."""
        return self.scope(name).__exit__(None, None, None)

    def start_soon(self, nursery: str, f: Any, name: str) -> None:
        """Spawn a task."""
        self.nursery(nursery).start_soon(f, name=name)

    async def start(self, nursery: str, f: Any, name: str) -> Any:
        """Spawn a task and wait until it has started."""
        return await self.nursery(nursery).start(f, name=name)

    def children(self, name: str) -> list[str]:
        """Who is in a nursery."""
        nursery = self.nursery(name)
        names = sorted(str(task.name) for task in nursery.child_tasks)
        return names + [str(nursery.parent_task.name)]

    def parents(self) -> list[Any]:
        """Where the task that asks belongs."""
        task = self.trio.lowlevel.current_task()
        nurseries = (
            task.parent_nursery,
            task.eventual_parent_nursery,
            *task.child_nurseries,
        )
        return [self.names.get(id(nursery)) for nursery in nurseries]

    def soon(self, f: Any, *args: Any) -> None:
        """Have a call made from outside of all tasks.

        Where some are idempotent each other one is: Trio makes them after the others of
        the same turn.
        """
        self.soons += 1
        once = self.once and self.soons % 2 == 1
        self.token.run_sync_soon(self.outside, f, *args, idempotent=once)

    def outside(self, f: Any, *args: Any) -> None:
        """Make a call and write down what came of it.

        It must not ask for another: Trio, which is woken by a socket, then wakes once
        more for nothing.
        """
        self.is_outside = True
        self.call("outside", f, *args)
        self.is_outside = False

    def clone(self, name: str) -> None:
        """Make another end of a channel, which nobody closes."""
        self.keep(f"{name}+", self.named[name].clone())

    def fail(self, text: str) -> None:
        """Raise."""
        raise Oops(text)

    def me(self) -> Any:
        """The task that asks."""
        return self.trio.lowlevel.current_task()

    async def drain(self, step: int, end: Any) -> None:
        """Take items until there are no more."""
        async for item in end:
            self.log(step, f"item {item}")

    async def suspend(self, step: int, kind: str) -> Any:
        """Wait in the raw; `kind` says what becomes of a cancellation."""
        lowlevel = self.trio.lowlevel
        task = lowlevel.current_task()
        name = task.name

        def abort(raise_cancel: Any) -> Any:
            self.loose(f"{name} {step}: abort, {kind}")
            if kind == "refuse" and not self.closing:
                return lowlevel.Abort.FAILED
            if task in self.parked:
                self.parked.remove(task)
            if kind == "later" and not self.is_outside:
                late = self.outcome.capture(raise_cancel)
                call = (lowlevel.reschedule, task, late)
                # Aborts come in the order of a set: which are idempotent, in none.
                once = self.once and step % 2 == 1
                self.token.run_sync_soon(*call, idempotent=once)
                return lowlevel.Abort.FAILED
            return lowlevel.Abort.SUCCEEDED

        self.parked.append(task)
        task.custom_sleep_data = step
        return await lowlevel.wait_task_rescheduled(abort)

    def wake(self, value: Any) -> Any:
        """Wake who waits in the raw, with a value or with an exception."""
        if not self.parked:
            return "nobody"
        task = self.parked.pop(0)
        failed = isinstance(value, BaseException)
        result = self.outcome.Error(value) if failed else self.outcome.Value(value)
        data = task.custom_sleep_data
        self.trio.lowlevel.reschedule(task, result)
        return f"{task.name} of {data}"

    def watch(
        self, name: str, hook: str = "", count: int = 0, action: Any = None
    ) -> Any:
        """An instrument, which does something at the n-th call of a hook."""
        return Watcher(self, name, hook, count, action)

    async def watchdog(self) -> None:
        """See to it that every program ends, and what it leaves behind."""
        try:
            await self.trio.sleep_until(LIMIT)
            self.push()
            await self.trio.sleep_until(LAST)
            raise Oops("somebody waits that only the end of the run can reach")
        finally:
            self.push()
            self.unlock()

    def unlock(self) -> None:
        """Break all locks: who reacquires one for a condition cannot be cancelled."""
        for thing in list(self.named.values()):
            lock = getattr(thing, "_lock", thing)
            if type(lock).__name__ in ("Lock", "StrictFIFOLock"):
                lock._lot.break_lot()

    def push(self) -> None:
        """Let nobody wait any more who could for ever."""
        self.closing = True
        for name, thing in list(self.named.items()):
            scope = getattr(thing, "cancel_scope", thing)
            if isinstance(scope, self.trio.CancelScope):
                scope.shield = False
                scope.cancel(reason=f"watchdog found {name}")
        while self.parked:
            self.log("watchdog", str(self.wake(None)))

    # --- the run -------------------------------------------------------------------

    def run(
        self, main: Any, seed: int, strict: bool, instruments: tuple[Any, ...]
    ) -> None:
        """Run a program's main task, and write down how everything is at the end."""
        core = self.trio._core._run
        core._ALLOW_DETERMINISTIC_SCHEDULING = True
        core._r.seed(seed)
        random.seed(seed)

        async def begin() -> Any:
            self.token = self.trio.lowlevel.current_trio_token()
            self.trio.lowlevel.spawn_system_task(self.watchdog, name="watchdog")
            # The task that makes calls from outside has to wait for the first of them.
            await self.trio.lowlevel.checkpoint()
            try:
                with self.trio.move_on_at(LIMIT / 2):
                    return await main()
            finally:
                self.tell_all()

        begin.__module__, begin.__qualname__ = "program", "main"
        handler = Complaints(self)
        logging.getLogger().addHandler(handler)
        self.running = True
        try:
            result = self.trio.run(
                begin,
                clock=self.clock,
                strict_exception_groups=strict,
                instruments=instruments,
            )
            self.running = False
            self.log("run", self.show(result))
        except BaseException as error:
            self.running = False
            self.log("run", f"! {self.show(error)}")
        finally:
            logging.getLogger().removeHandler(handler)
        self.log("clock", f"{self.clock.current_time():g}")
        self.tell_all()

    def tell_all(self) -> None:
        """Write down how everything is; of scopes, only where there is a time."""
        for name, thing in list(self.named.items()):
            is_scope = hasattr(thing, "cancel_scope") or isinstance(
                thing, self.trio.CancelScope
            )
            if self.running or not is_scope:
                self.log(name, self.final(name, thing))

    def final(self, name: str, thing: Any) -> str:
        """The state in which a thing was left."""
        if hasattr(thing, "cancel_scope"):
            return f"{self.state(name)} {self.children(name)}"
        if isinstance(thing, self.trio.CancelScope):
            return self.state(name)
        if hasattr(thing, "statistics"):
            return self.show(thing.statistics())
        return self.show(thing)


class Complaints(logging.Handler):
    """Writes down what the library logs."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        text = f"{record.levelname} {record.getMessage()}: {self.world.show(error)}"
        self.world.lines.append((ADDRESS.sub("0x", text), False))


class Watcher:
    """An instrument with every hook."""

    def __init__(
        self, world: World, name: str, hook: str, count: int, action: Any
    ) -> None:
        self.world, self.name = world, name
        self.hook, self.count, self.action = hook, count, action

    def tell(self, hook: str, about: str) -> None:
        """Write down that a hook was called, and do what is to be done then."""
        text = f"{self.name} {hook} {about}"
        if hook == "task_scheduled":
            self.world.loose(text)
        else:
            self.world.lines.append((text, False))
        if hook == self.hook:
            self.count -= 1
            if self.count == 0:
                self.action()


def add_hook(hook: str) -> None:
    """Give a Watcher one of the hooks."""

    def called(self: Watcher, *args: Any) -> None:
        about = args[0] if args else ""
        if isinstance(about, int | float):
            about = float(about)
        self.tell(hook, str(getattr(about, "name", about)))

    setattr(Watcher, hook, called)


for each in HOOKS:
    add_hook(each)


def plain(text: str) -> str:
    """A text of the library's, without addresses."""
    text = ADDRESS.sub("0x", text)
    if "please" in text:
        text = ADVICE.sub(lambda found: mark("advice", found[0]), text)
    return text


def describe(error: BaseException) -> str:
    """An exception with all that hangs on it; what comes twice is told once.

    Its contexts follow it one after the other: `<A() while B() while C()>`.
    """
    seen: set[int] = set()

    def tell(error: BaseException) -> str:
        seen.add(id(error))
        text, context = head(error), error.__context__
        if context is None:
            return text
        again = id(context) in seen
        more = f" while {f'^{type(context).__name__}' if again else tell(context)}"
        if error.__suppress_context__:
            more = mark("hidden-context", more)
        elif type(error).__name__ == "Cancelled":
            more = mark("cancelled-context", more)
        return text + more

    def head(error: BaseException) -> str:
        text = f"{type(error).__name__}({str(error)!r})"
        if hasattr(error, "source"):
            why, who = (
                getattr(error, "reason", None),
                getattr(error, "source_task", None),
            )
            text += f" source={error.source} reason={why!r} by={who}"
        text = plain(text)
        if hasattr(error, "exceptions"):
            text += f" [{', '.join(f'<{tell(inner)}>' for inner in error.exceptions)}]"
        for note in getattr(error, "__notes__", ()):
            text += f" note={note!r}"
        if error.__cause__ is not None:
            text += f" because <{tell(error.__cause__)}>"
        if error.__suppress_context__:
            text += " suppressed"
        return text

    return f"<{tell(error)}>"
