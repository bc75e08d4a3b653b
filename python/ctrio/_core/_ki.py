"""Where a KeyboardInterrupt may strike, and where it has to wait."""

from .._ctrio import (
    currently_ki_protected as currently_ki_protected,
    disable_ki_protection as disable_ki_protection,
    enable_ki_protection as enable_ki_protection,
)
