"""pdb.post_mortem of a group, and then of each exception in it."""

import pdb
import sys

import group
import steady


def leaves(error):
    for each in getattr(error, "exceptions", ()):
        yield from leaves(each)
    if not hasattr(error, "exceptions"):
        yield error


try:
    steady.run(group.main)
except BaseException as failure:
    pdb.post_mortem(failure.__traceback__)
    for leaf in sorted(leaves(failure), key=repr):
        print("leaf", repr(leaf))
        pdb.post_mortem(leaf.__traceback__)
    sys.last_value = failure
    sys.last_type, sys.last_traceback = type(failure), failure.__traceback__
    sys.last_exc = failure
    pdb.pm()
