"""The metrics of the gateway."""

from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from ingestion_operator.cache import Cache
from ingestion_operator.cache.reflector import Reflector
from ingestion_operator.gateway.paths import ENDPOINTS, OTHER

_CODES: Final = ("200", "400", "404", "500", "503")
"""The status codes of endpoints, for requests with valid credentials; `responses` has all codes."""

_BUCKETS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)


class Metrics:
    """The metrics of one gateway, in their own registry, so that a process can have several gateways."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "ingestion_gateway_requests",
            "Responses sent, by endpoint and status code.",
            ["endpoint", "code"],
            registry=self.registry,
        )
        # Series start at 0: Prometheus sees no increase in a series that starts with its first error.
        for endpoint in (*sorted(ENDPOINTS), OTHER):
            for code in _CODES:
                self.requests.labels(endpoint, code)
        self.seconds = Histogram(
            "ingestion_gateway_request_seconds",
            "Time from the first byte of a request to the end of its response.",
            ["endpoint"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("ingestion_gateway_requests_in_flight", "Requests being served.", registry=self.registry)
        self._watch_age = Gauge(
            "ingestion_gateway_watch_age_seconds",
            "Time since the API server last responded to a list or sent data in a watch of the cache.",
            ["resource"],
            registry=self.registry,
        )

    def follow(self, cache: Cache) -> None:
        """Export the age of the cached state of each kind."""
        for reflector in cache.reflectors:
            self._watch_age.labels(reflector.kind.plural).set_function(partial(_age, reflector))

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


def _age(reflector: Reflector) -> float:
    return reflector.age_seconds
