"""What the gateway counts."""

from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from ingestion_operator.cache import Cache
from ingestion_operator.cache.reflector import Reflector
from ingestion_operator.gateway.paths import ENDPOINTS, OTHER

_CODES: Final = ("200", "400", "404", "500", "503")
"""What endpoints answer after the credentials were found good; `answers` has all codes."""

_BUCKETS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)


class Metrics:
    """A registry of its own, so that several gateways can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "ingestion_gateway_requests",
            "Requests answered, by endpoint and status code.",
            ["endpoint", "code"],
            registry=self.registry,
        )
        # A series that begins with its first error is no increase for Prometheus: the alert would miss that one.
        for endpoint in (*sorted(ENDPOINTS), OTHER):
            for code in _CODES:
                self.requests.labels(endpoint, code)
        self.seconds = Histogram(
            "ingestion_gateway_request_seconds",
            "Time from a request's first byte to the end of its answer.",
            ["endpoint"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("ingestion_gateway_requests_in_flight", "Requests being served.", registry=self.registry)
        self._watch_age = Gauge(
            "ingestion_gateway_watch_age_seconds",
            "Time since the API server last answered a list or sent something in a watch of the cache.",
            ["resource"],
            registry=self.registry,
        )

    def follow(self, cache: Cache) -> None:
        """Show how old the state is that the cache has of each kind."""
        for reflector in cache.reflectors:
            self._watch_age.labels(reflector.kind.plural).set_function(partial(_age, reflector))

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self.registry)


def _age(reflector: Reflector) -> float:
    return reflector.age_seconds
