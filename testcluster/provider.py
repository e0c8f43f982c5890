"""Where tests, the demo and the benchmarks get their cluster from."""

from testcluster import external, kind
from testcluster.errors import TestClusterError
from testcluster.handle import Cluster
from testcluster.locations import layout
from testcluster.node import cluster as node


def up() -> Cluster:
    """A running cluster: the named one, else kind's where Docker runs, else the built node.

    Idempotent: a running cluster is returned as it is, a damaged one is repaired. Raises
    TestClusterError with the command that helps when the machine lacks something.
    """
    named = external.up()
    if named is not None:
        return named
    here = layout()
    running = node.find(here)
    if running is None and kind.docker_runs():
        return kind.up(here)
    return node.up(here)


def current() -> Cluster:
    """The running cluster, without starting or repairing it. Raises TestClusterError if none is up."""
    here = layout()
    found = external.find() or node.find(here) or kind.find(here)
    if found is None:
        raise TestClusterError("no cluster is up; run: python -m testcluster up")
    return found


def down() -> bool:
    """Removes the checkout's cluster. Returns whether there was one; a named one is left alone."""
    if external.find() is not None:
        return False
    here = layout()
    removed = kind.down(here)
    return node.down(here) or removed
