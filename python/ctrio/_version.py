"""Two versions: Trio's API that this package provides, and its own."""

__version__ = "0.35.0"  # dependents parse it as Trio's: numbers and dots only
__ctrio_version__ = "0.1.0"
