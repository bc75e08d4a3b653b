"""Every process that finds this folder on its path has ctrio in place of trio."""

import ctrio

ctrio.install()
