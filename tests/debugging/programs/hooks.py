"""sys.settrace and sys.setprofile: each event in a frame of ours, in order."""

import sys

import steady
import workload

YIELDED = (object, type)  # what the library's traps are in the run loop's hands


def traced(frame, event, argument):
    if frame.f_code.co_filename != workload.__file__:
        return None
    kind = argument[0] if event == "exception" else type(argument)
    shown = "a yield" if kind in YIELDED or "Wait" in kind.__name__ else kind.__name__
    print("trace", frame.f_code.co_name, frame.f_lineno, event, shown)
    return traced


def profiled(frame, event, argument):
    if frame.f_code.co_filename == workload.__file__ and not event.startswith("c_"):
        print("profile", frame.f_code.co_name, frame.f_lineno, event)


for hook, install in ((traced, sys.settrace), (profiled, sys.setprofile)):
    install(hook)
    result = steady.run(workload.main)
    install(None)
    print(result)
