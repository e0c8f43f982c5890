"""From folded stacks to the tables of `make profile`."""

import pytest

from benchmarks.profiling.folded import Frame, package_of, profile

STACKS = """\
<module> (ingestion_operator/__main__.py:54);_do (ingestion_operator/reconcile/act.py:96);get (urllib3/pool.py:7) 6
<module> (ingestion_operator/__main__.py:54);_do (ingestion_operator/reconcile/act.py:99) 3
_bootstrap (threading.py:1002);_do (ingestion_operator/reconcile/act.py:1);_do (ingestion_operator/reconcile/act.py:2) 1
_worker (concurrent/futures/thread.py:81) 50
<module> (ingestion_operator/__main__.py:54);get (urllib3/pool.py:7);SSLSocket.read (ssl.py:1100) 50
process 12:"python -m ingestion_operator" 4
"""


def test_time_is_counted_by_function_and_package() -> None:
    found = profile(STACKS.splitlines())
    do = Frame("ingestion_operator.reconcile.act", "_do")
    assert found.total == 10
    assert found.own == {Frame("urllib3", "get"): 6, do: 4}
    assert found.packages == {"urllib3": 6, "ingestion_operator": 4}
    assert found.ours[do] == 10


@pytest.mark.parametrize(
    ("file", "package"),
    [
        ("ingestion_operator/adapters/kube/client.py", "ingestion_operator.adapters.kube.client"),
        ("/checkout/operator/ingestion_operator/gateway/__init__.py", "ingestion_operator.gateway"),
        ("/venv/lib/python3.11/site-packages/kopf/_core/reactor/queueing.py", "kopf"),
        ("pydantic/main.py", "pydantic"),
        ("threading.py", "python"),
        ("/usr/local/lib/python3.11/json/decoder.py", "python"),
        ("<frozen importlib._bootstrap>", "python"),
    ],
)
def test_a_file_belongs_to_a_package(file: str, package: str) -> None:
    assert package_of(file) == package
