"""Variables that are shared by all tasks of a run, and by no other run."""

from .._ctrio import RunVar as RunVar, RunVarToken as RunVarToken
