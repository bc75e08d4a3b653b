"""coverage.py: lines and branches of a program of ours."""

import coverage

measured = coverage.Coverage(
    data_file=None, branch=True, include="*/workload.py", config_file=False
)
measured.start()
import steady  # noqa: E402
import workload  # noqa: E402

print(steady.run(workload.main))
measured.stop()
_, statements, _, missing, _ = measured.analysis2(workload)
print("statements", statements)
print("missing", missing)
print("arcs", sorted(measured.get_data().arcs(workload.__file__)))
