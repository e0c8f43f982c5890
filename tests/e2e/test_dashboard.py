"""What a Prometheus that has scraped operator and gateway all the time knows after this suite.

Runs after all other modules of the suite, and only with all of them: see conftest.py at the root.
"""

import yaml

from testing.install import GATEWAY, OPERATOR
from testing.installation import Installation
from testing.prometheus import RULES, Prometheus, dashboard_queries


def test_every_query_of_the_dashboard_has_something_to_draw(installation: Installation, prometheus: Prometheus) -> None:
    queries = dashboard_queries(installation.namespace)
    assert len(queries) > 30
    assert [query for query in queries if not prometheus.would_be_drawn(query)] == []


def test_every_alert_is_evaluated_without_an_error(prometheus: Prometheus) -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    assert prometheus.rules() == {rule["alert"]: "" for group in groups for rule in group["rules"]}


def test_both_programs_were_scraped_also_after_restarts(prometheus: Prometheus) -> None:
    services = {series["metric"]["service"] for series in prometheus.ask("max_over_time(up[1h]) == 1")}
    assert services == {f"{OPERATOR}-metrics", f"{GATEWAY}-metrics"}
    (lives,) = prometheus.ask(f'changes(process_start_time_seconds{{service="{OPERATOR}-metrics"}}[1h])')
    assert float(lives["value"][1]) > 0
