"""What runs inside the test processes: a package `trio` that is ctrio underneath.

The harness copies this package beside the `trio` package that it lays out.
"""
