"""Which run and which task this thread is in, as an object to look into."""

from .._ctrio import GLOBAL_RUN_CONTEXT as GLOBAL_RUN_CONTEXT
