"""The way into a run from other threads and from signal handlers."""

from .._ctrio import TrioToken as TrioToken
