"""Good and bad IngestionPipelines, for the API server and for the model alike: the two must agree on each.

Most bad ones are made from the generated schema: for every enum, bound, pattern, required field, type and closed
object there is one that differs from a good one in just that. The rules that span fields are listed below.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from testing.full_spec import REFERENCE, full_spec
from testing.install import CRD
from testing.objects import Body, spec
from testing.schema_walk import nodes, replaced, value_at, violations


@dataclass(frozen=True)
class Case:
    """A spec, and for a bad one what the refusal must contain: the field, and how to correct it."""

    name: str
    spec: Body
    field: str = ""
    fix: str = ""
    model_fix: str = ""
    """The model's text where it differs."""

    def __str__(self) -> str:
        return self.name

    @property
    def in_model(self) -> str:
        """The text that the model's error must contain."""
        return self.model_fix or self.fix


@cache
def schema() -> Body:
    """The schema of the spec in the committed CustomResourceDefinition."""
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    return dict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def _with_secret_source() -> Body:
    body = full_spec()
    del body["sourceConfig"]
    return body | {"sourceConfigSecretRef": REFERENCE}


def accepted() -> list[Case]:
    """Specs that are good."""
    return [
        Case("smallest", spec(schedule=None)),
        Case("every field", full_spec()),
        Case("every field, source config from a Secret", _with_secret_source()),
        *(
            Case(f"pipeline type {kind}", spec(pipelineType=kind))
            for kind in schema()["properties"]["pipelineType"]["enum"]
        ),
        *(
            Case(f"service type {kind}", spec(service={"type": kind, "name": "x"}))
            for kind in schema()["properties"]["service"]["properties"]["type"]["enum"]
        ),
        *(
            Case(f"cron {cron}", spec(schedule={"cron": cron}))
            for cron in (
                "@daily",
                "@hourly",
                "* * * * *",
                "*/5 * * * *",
                "0  2  * * 7",
                "0 2 * * 0-7/2",
                "5/10 * * * SUN",
            )
        ),
        *(Case(f"time zone {zone}", _schedule(timeZone=zone)) for zone in ("UTC", "Etc/GMT+5", "America/New_York")),
        *(Case(f"ttl {ttl}", spec(history={"ttl": ttl})) for ttl in ("600s", "10m", "1h", "365d")),
        *(Case(f"timeout {text}", spec(timeout=text)) for text in ("1s", "999999s", "525600m", "8760h", "365d")),
        Case("no finished run is kept", spec(history={"successful": 0, "failed": 0})),
        Case("no disruption is free", spec(retry={"disruptions": 0})),
        Case("a hundred disruptions are free", spec(retry={"disruptions": 100})),
        Case(
            "dates of other offsets", _schedule(startDate="2026-01-01T00:00:00+14:00", endDate="2026-01-01T00:00:00Z")
        ),
        Case("an end date that never comes", _schedule(endDate="9999-12-31T23:59:59Z")),
        Case("a start date that is not yet in the year 9999", _schedule(endDate="9999-12-31T23:59:59-12:00")),
        Case("policy Allow with one run", spec(concurrency={"policy": "Allow"})),
        Case("policy Allow with many", spec(concurrency={"policy": "Allow", "maxActiveRuns": 100})),
        Case("policy Forbid with one run", spec(concurrency={"policy": "Forbid", "maxActiveRuns": 1})),
        Case("policy Replace with one run", spec(concurrency={"policy": "Replace", "maxActiveRuns": 1})),
        *(Case(f"at most {runs} queued", spec(concurrency={"maxQueuedRuns": runs})) for runs in (1, 100)),
        *(
            Case(f"server at {url}", spec(server={"hostPort": url}))
            for url in ("http://[2001:db8::1]:8585/api", "https://openmetadata.example.com/api/user@example.com")
        ),
        Case("one colon in a service name", spec(service={"type": "databaseService", "name": "a:b"})),
        Case("an empty value of a variable", _container(env=[{"name": "A", "value": ""}])),
        Case("a mount beside the operator's", _container(volumeMounts=[{"name": "a", "mountPath": "/ingestion-data"}])),
        Case("one mount per path", _container(volumeMounts=[{"name": "a", "mountPath": f"/{n}"} for n in "ab"])),
        Case("a whole number as quantity", _container(resources={"limits": {"cpu": 2, "memory": "2147483648"}})),
        Case(
            "null for a default",
            spec() | {"suspend": None, "history": None, "podTemplate": {"container": {"env": None}}},
        ),
        Case("null for what is optional", spec() | {"displayName": None, "timeout": None}),
        *(
            Case(f"a sidecar's startupProbe by {kind}", _sidecar(startupProbe={kind: probe}))
            for kind, probe in (
                ("httpGet", {"path": "/ready", "port": 8080}),
                ("httpGet", {"port": 8080}),
                ("exec", {"command": ["/ready"]}),
            )
        ),
        Case("a sidecar whose image another layer gives", spec(podTemplate={"sidecars": [{"name": "proxy"}]})),
        Case("an empty volume", _pod(volumes=[{"name": "a", "emptyDir": {}}])),
    ]


def refused() -> list[Case]:
    """Specs that are bad, each in one thing."""
    return [
        *_rules(),
        *_pod_template_rules(),
        *_from_schema(full_spec(), ""),
        *_from_schema(_with_secret_source(), "sourceConfigSecretRef"),
    ]


def _schedule(**changes: Any) -> Body:
    return spec(schedule={"cron": "0 2 * * *"} | changes)


def _container(**changes: Any) -> Body:
    return spec(podTemplate={"container": changes})


def _pod(**changes: Any) -> Body:
    return spec(podTemplate={"spec": changes})


def _sidecar(**changes: Any) -> Body:
    return spec(podTemplate={"sidecars": [{"name": "proxy", "image": "x"} | changes]})


def _rules() -> Iterator[Case]:
    """Rules in CEL whose message is our own, but for those of the pod template."""
    for cron in ("", "x", "0 2 * *", "60 2 * * *", "0 2 * * 8", "@reboot", "CRON_TZ=UTC 0 2 * * *", "0 2 * * \u017fun"):
        fix = "cron must have five fields such as '0 4 * * *', or be one of @yearly"
        if cron:
            yield Case(f"cron {cron!r}", _schedule(cron=cron), "schedule.cron", fix)
    for zone in ("Local", "/UTC", "Europe/", "Europe//Zurich", "../UTC", "UTC\n", "Zürich"):
        fix = "timeZone must be an IANA name such as Europe/Zurich or UTC"
        yield Case(f"time zone {zone!r}", _schedule(timeZone=zone), "schedule.timeZone", fix)
    for start, end in (
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00-01:00", "2026-01-01T00:30:00Z"),
    ):
        fix = "endDate must be later than startDate: move one of them"
        yield Case(f"from {start} to {end}", _schedule(startDate=start, endDate=end), "schedule.endDate", fix)
    for date in ("2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z"):
        yield Case(f"date {date}", _schedule(startDate=date), "startDate", "date-time", "startDate")
    fix = "maxActiveRuns above 1 needs policy Allow: set it, or maxActiveRuns to 1"
    yield Case("many runs and policy Forbid", spec(concurrency={"maxActiveRuns": 2}), "concurrency.maxActiveRuns", fix)
    replace = spec(concurrency={"policy": "Replace", "maxActiveRuns": 2})
    yield Case("many runs and policy Replace", replace, "concurrency.maxActiveRuns", fix)
    for ttl in ("9m", "599s", "1s"):
        fix = "ttl must be at least 10m"
        yield Case(f"ttl {ttl}", spec(history={"ttl": ttl}), "history.ttl", fix)
    fix = "must be at most 365d"
    for text in ("366d", "24856d", "8761h", "525601m", "999999h"):
        yield Case(f"ttl {text}", spec(history={"ttl": text}), "history.ttl", fix)
        yield Case(f"timeout {text}", spec(timeout=text), "timeout", fix)
    fix = "hostPort must not contain a user or a password: remove everything before the @, and set tokenSecretRef"
    for user in ("admin:secret", "admin", ":secret", ""):
        url = f"http://{user}@openmetadata:8585/api"
        yield Case(f"server at {url}", spec(server={"hostPort": url}), "server.hostPort", fix)
    fix = "set exactly one of sourceConfig and sourceConfigSecretRef"
    yield Case("no source", spec(sourceConfig=None), "sourceConfig", fix)
    yield Case("two sources", spec(sourceConfigSecretRef=REFERENCE), "sourceConfig", fix)
    double_colon = spec(service={"type": "databaseService", "name": "a::b"})
    yield Case("two colons in a service name", double_colon, "service", "service.name must not contain '::'")


def _pod_template_rules() -> Iterator[Case]:
    """Rules in CEL, and duplicates, whose message is our own or names the value."""
    fix = "set exactly one of value and valueFrom"
    yield Case("a variable without value", _container(env=[{"name": "A"}]), "env", fix)
    both = {"name": "A", "value": "x", "valueFrom": {"secretKeyRef": REFERENCE}}
    yield Case("a variable with two values", _container(env=[both]), "env", fix)
    fix = "set exactly one of secretKeyRef and configMapKeyRef"
    yield Case("a variable from nowhere", _container(env=[{"name": "A", "valueFrom": {}}]), "valueFrom", fix)
    twice = {"secretKeyRef": REFERENCE, "configMapKeyRef": REFERENCE}
    yield Case("a variable from two places", _container(env=[{"name": "A", "valueFrom": twice}]), "valueFrom", fix)
    fix = "set exactly one of secretRef and configMapRef"
    references = {"secretRef": {"name": "x"}, "configMapRef": {"name": "x"}}
    yield Case("variables from nowhere", _container(envFrom=[{}]), "envFrom", fix)
    yield Case("variables from two places", _container(envFrom=[references]), "envFrom", fix)
    fix = "set exactly one of httpGet, tcpSocket, exec"
    yield Case("a startupProbe of no kind", _sidecar(startupProbe={}), "startupProbe", fix)
    probes = {"tcpSocket": {"port": 1}, "httpGet": {"port": 1}}
    yield Case("a startupProbe of two kinds", _sidecar(startupProbe=probes), "startupProbe", fix)
    fix = "ingestion is the runner's own container: choose another name"
    yield Case("a sidecar in the runner's place", _sidecar(name="ingestion"), "sidecars", fix)
    for name in ("RUN_ID", "JOB_UID", "POD_NAME", "NODE_NAME", "HOME"):
        reserved = _container(env=[{"name": name, "value": "x"}])
        yield Case(f"the operator's variable {name}", reserved, "env", "set by the operator: choose another name")
    for name in ("pipeline", "token", "connection", "source-config", "tmp"):
        reserved = _pod(volumes=[{"name": name, "emptyDir": {}}])
        yield Case(f"the operator's volume {name}", reserved, "volumes", "of the operator: choose another name")
    fix = "set exactly one of secret, configMap, emptyDir, persistentVolumeClaim"
    yield Case("a volume of no kind", _pod(volumes=[{"name": "a"}]), "volumes", fix)
    two = {"name": "a", "emptyDir": {}, "secret": {"secretName": "x"}}
    yield Case("a volume of two kinds", _pod(volumes=[two]), "volumes", fix)
    for path in ("/", "/tmp", "/ingestion", "/ingestion/token"):
        mount = _container(volumeMounts=[{"name": "a", "mountPath": path}])
        yield Case(f"a mount at {path}", mount, "volumeMounts", "belong to the operator: mount elsewhere")
    mounts = [{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/a"}]
    for field, one in (
        ("env", _container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}])),
        ("volumeMounts", _container(volumeMounts=mounts)),
        ("volumes", _pod(volumes=[{"name": "a", "emptyDir": {}}] * 2)),
        ("imagePullSecrets", _pod(imagePullSecrets=[{"name": "a"}] * 2)),
        ("sidecars", spec(podTemplate={"sidecars": [{"name": "a"}] * 2})),
        ("hostAliases", _pod(hostAliases=[{"ip": "1.1.1.1", "hostnames": ["a"]}] * 2)),
    ):
        yield Case(
            f"an item twice in {field}", one, field, "Duplicate value", "appears more than once: remove or rename"
        )
    for value in (-1, "-1", "1x", "1.5.5", "", 1.5, "1e3"):
        bad = _container(resources={"limits": {"cpu": value}})
        yield Case(
            f"quantity {value!r}", bad, "limits", "spec.podTemplate.container.resources.limits.cpu", "limits.cpu"
        )


def _from_schema(base: Body, only: str) -> Iterator[Case]:
    for path, node in nodes(schema(), base):
        if only and only not in path:
            continue
        where = ".".join(str(part) for part in path)
        for what, bad, fix in violations(node, value_at(base, path)):
            field = next((str(part) for part in reversed(path) if isinstance(part, str)), "")
            yield Case(f"{where or 'spec'}: {what}", replaced(base, path, bad), field, fix, field or ": ")
