"""Sleeping, and what may not take longer than so and so."""

from ._core._exceptions import TooSlowError as TooSlowError
from ._ctrio import (
    fail_after as fail_after,
    fail_at as fail_at,
    move_on_after as move_on_after,
    move_on_at as move_on_at,
    sleep as sleep,
    sleep_forever as sleep_forever,
    sleep_until as sleep_until,
)
