"""cProfile: how often each function of ours was called, and by which of ours.

Without threads: from 3.12 on cProfile takes what they call for the main thread's.
"""

import cProfile
import pstats

import steady
import workload

profile = cProfile.Profile()
print(profile.runcall(steady.run, workload.tasks))
stats = pstats.Stats(profile).stats
ours = {key: value for key, value in stats.items() if key[0] == workload.__file__}
for (_, line, name), (primitive, calls, _, _, callers) in sorted(ours.items()):
    print(line, name, primitive, calls)
    for caller, counts in sorted(callers.items()):
        if caller in ours:
            print("    called by", caller[2], counts[:2])
