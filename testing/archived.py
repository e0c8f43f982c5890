"""Logs in the archive's volume, read where the operator has it mounted."""

from testcluster.handle import Cluster
from testing.install import OPERATOR

_READ = """
import glob, gzip, sys
names = sorted(glob.glob(f"/var/lib/ingestion-logs/*/*/{sys.argv[1]}/*/*.gz"))
if names and names[-1].endswith("-end.gz"):
    sys.stdout.write("".join(gzip.open(name).read().decode() for name in names))
"""


def archived(cluster: Cluster, namespace: str, run_id: str) -> str:
    """The log of the run's only attempt, empty until it is complete."""
    words = ("exec", f"deployment/{OPERATOR}", "--", "/opt/venv/bin/python", "-c", _READ, run_id)
    return cluster.kubectl("-n", namespace, *words)
