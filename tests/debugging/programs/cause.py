"""pdb.post_mortem of what an exception of a group was raised from."""

import pdb

import group
import steady

try:
    steady.run(group.wrong, "c")
except ValueError as failure:
    pdb.post_mortem(failure.__cause__.__traceback__)
