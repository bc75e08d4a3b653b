"""The installed copy that these tests share."""

from __future__ import annotations

import pytest
from installed import PREFIX, Installed, make_install


@pytest.fixture(scope="session")
def installed() -> Installed:
    make_install(f"PREFIX={PREFIX}")
    return Installed(PREFIX)
