"""sys.monitoring: each event in code of ours, in order."""

import sys

import steady
import workload

watch = sys.monitoring
TOOL = watch.PROFILER_ID
PLACES = ("PY_START", "PY_RESUME", "PY_RETURN", "PY_YIELD", "LINE")
RAISES = ("PY_THROW", "PY_UNWIND", "RAISE", "RERAISE", "EXCEPTION_HANDLED")


def ours(code):
    return code.co_filename == workload.__file__


def line_at(code, offset):
    return next(line for first, end, line in code.co_lines() if first <= offset < end)


def place(name):
    def record(code, offset, *rest):
        if ours(code):
            shown = [offset] if name == "LINE" else [type(each) for each in rest]
            if name == "PY_YIELD" and "wrapped" not in str(shown):
                shown = ["to the loop"]
            print(name, code.co_name, *shown)
        return None if ours(code) else watch.DISABLE

    return record


def raised(name):
    # The end of an await is RAISE or STOP_ITERATION, by what is awaited.
    def record(code, offset, error):
        if ours(code) and not isinstance(error, StopIteration):
            print(name, code.co_name, line_at(code, offset), type(error))

    return record


watch.use_tool_id(TOOL, "the test")
events = 0
for kinds, make in ((PLACES, place), (RAISES, raised)):
    for kind in kinds:
        number = getattr(watch.events, kind)
        watch.register_callback(TOOL, number, make(kind))
        events |= number
watch.set_events(TOOL, events)
result = steady.run(workload.tasks)
watch.set_events(TOOL, 0)
print(result)
