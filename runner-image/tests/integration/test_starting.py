"""What is deferred while the library is imported, against the library itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ingestion_runner.workflow.starting import DEFERRED

SOURCES = Path(__file__).parents[2]


def in_a_new_process(code: str, *, before: str = "") -> str:
    begin = before + (
        "import importlib, json, sys\n"
        "from ingestion_runner.workflow.starting import DEFERRED, quick_import\n"
        "with quick_import():\n"
        "    import metadata.workflow.metadata\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", begin + code],
        env={"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_what_is_deferred_is_not_loaded_with_the_workflow() -> None:
    code = "print(json.dumps([name for name in ('kubernetes', 'grpc', 'sqlfluff', 'sqlglot') if name in sys.modules]))"

    assert json.loads(in_a_new_process(code)) == []


def test_every_deferred_class_can_be_had() -> None:
    code = (
        "print(json.dumps([getattr(importlib.import_module(name), DEFERRED[name]).__doc__ and 1 for name in DEFERRED]))"
    )

    assert len(json.loads(in_a_new_process(code))) == len(DEFERRED)


@pytest.mark.parametrize(
    "query",
    ["create table b as select x, y from a", "insert into shop.c select a.x from shop.a join shop.b on a.i = b.i"],
)
def test_sql_is_parsed_as_without_it(query: str) -> None:
    parse = (
        "from metadata.ingestion.lineage.parser import LineageParser\n"
        "from metadata.ingestion.lineage.models import Dialect\n"
        f"parser = LineageParser({query!r}, Dialect.POSTGRES, timeout_seconds=30)\n"
        "print(json.dumps([sorted(map(str, parser.source_tables)), sorted(map(str, parser.target_tables)),\n"
        "                  parser.masked_query, type(parser.parser._analyzer).__name__]))\n"
    )
    without = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import json\n{parse}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    found = json.loads(in_a_new_process(parse).splitlines()[-1])

    assert found == json.loads(without.stdout.splitlines()[-1])
    assert found[0]
    assert found[1]


@pytest.mark.parametrize("provider", ["aws", "aws-ssm", "azure-kv", "gcp", "kubernetes"])
def test_a_secrets_manager_is_made_as_without_it(provider: str) -> None:
    make = (
        "from metadata.utils.secrets.secrets_manager_factory import SecretsManagerFactory\n"
        "from metadata.generated.schema.security.secrets.secretsManagerProvider import SecretsManagerProvider\n"
        "from metadata.generated.schema.security.secrets.secretsManagerClientLoader import SecretsManagerClientLoader\n"
        "try:\n"
        f"    made = SecretsManagerFactory(SecretsManagerProvider({provider!r}), SecretsManagerClientLoader.noop)\n"
        "    print(type(made.get_secrets_manager()).__module__)\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    without = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", make], capture_output=True, text=True, check=True, timeout=120
    )

    assert in_a_new_process(make).splitlines()[-1] == without.stdout.splitlines()[-1]


def test_a_statements_header_reads_the_version_once() -> None:
    """It is made for every statement; reading the version again was more than half of a small run's time."""
    count = (
        "from metadata.ingestion.connections import headers\n"
        "print(json.dumps(hasattr(headers._pkg_version, 'cache_info')))\n"
    )
    begin = "from ingestion_runner.workflow.starting import remember_package_versions\nremember_package_versions()\n"

    assert json.loads(in_a_new_process(count, before=begin)) is True
