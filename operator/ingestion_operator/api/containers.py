"""The configurable parts of the containers of a pipeline's pods: the runner's container and sidecars."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from ingestion_operator.api.base import KubernetesModel, cel, cel_list, keyed_by, rules, unique
from ingestion_operator.api.references import KeyReference, OptionalReference
from ingestion_operator.api.types import DnsLabel, EnvironmentName, Quantity
from ingestion_operator.constants import RUNNER_CONTAINER

RESERVED_ENVIRONMENT = ("RUN_ID", "JOB_UID", "POD_NAME", "NODE_NAME", "HOME")
_ONE_KEY_SOURCE = "has(self.secretKeyRef) != has(self.configMapKeyRef)"
_PROBE_KINDS = ("httpGet", "tcpSocket", "exec")
_Port = Annotated[int, Field(ge=1, le=65535)]
_Words = Annotated[list[Annotated[str, Field(max_length=4096)]], Field(max_length=64)]
_PullPolicy = Literal["Always", "IfNotPresent", "Never"]
_Image = Annotated[str, Field(min_length=1, max_length=512)]


class EnvironmentSource(KubernetesModel):
    """The source of a variable's value: exactly one key of a Secret or ConfigMap."""

    model_config = ConfigDict(
        json_schema_extra=rules(cel(_ONE_KEY_SOURCE, "set exactly one of secretKeyRef and configMapKeyRef"))
    )
    secret_key_ref: KeyReference | None = None
    config_map_key_ref: KeyReference | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.secret_key_ref is None) == (self.config_map_key_ref is None):
            raise ValueError("set exactly one of secretKeyRef and configMapKeyRef")
        return self


class EnvironmentVariable(KubernetesModel):
    """An environment variable, with either a value or a source."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("has(self.value) != has(self.valueFrom)", "set exactly one of value and valueFrom"),
            cel(
                f"!(self.name in {cel_list(RESERVED_ENVIRONMENT)})",
                f"{', '.join(RESERVED_ENVIRONMENT)} are set by the operator: choose another name",
                ".name",
                text=True,
            ),
        )
    )
    name: EnvironmentName
    value: Annotated[str, Field(max_length=32768)] | None = None
    value_from: EnvironmentSource | None = None

    @model_validator(mode="after")
    def _value_or_source(self) -> Self:
        if (self.value is None) == (self.value_from is None):
            raise ValueError("set exactly one of value and valueFrom")
        if self.name in RESERVED_ENVIRONMENT:
            raise ValueError(f"{self.name} is set by the operator: choose another name")
        return self


class EnvironmentFrom(KubernetesModel):
    """Variables from all keys of a Secret or ConfigMap. `env` and the operator's own variables take precedence."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("has(self.secretRef) != has(self.configMapRef)", "set exactly one of secretRef and configMapRef")
        )
    )
    prefix: EnvironmentName | None = None
    secret_ref: OptionalReference | None = None
    config_map_ref: OptionalReference | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.secret_ref is None) == (self.config_map_ref is None):
            raise ValueError("set exactly one of secretRef and configMapRef")
        return self


class Mount(KubernetesModel):
    """The mount of a volume in a container."""

    name: DnsLabel
    mount_path: Annotated[str, Field(pattern=r"^/[^:]*$", max_length=1024)]
    sub_path: Annotated[str, Field(max_length=1024)] | None = None
    read_only: bool | None = None


class VolumeMount(Mount):
    """The mount of a volume in the runner's container, outside of the operator's own folders."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "self.mountPath != '/' && self.mountPath != '/tmp' && self.mountPath != '/ingestion'"
                " && !self.mountPath.startsWith('/ingestion/')",
                "/, /tmp and /ingestion belong to the operator: mount elsewhere",
                ".mountPath",
                text=True,
            )
        )
    )

    @model_validator(mode="after")
    def _free_path(self) -> Self:
        if self.mount_path in ("/", "/tmp", "/ingestion") or self.mount_path.startswith("/ingestion/"):  # noqa: S108
            raise ValueError("/, /tmp and /ingestion belong to the operator: mount elsewhere")
        return self


class Resources(KubernetesModel):
    """Requests and limits of CPU, memory and other resources, as in Kubernetes."""

    requests: Annotated[dict[str, Quantity], Field(max_length=16)] = {}
    limits: Annotated[dict[str, Quantity], Field(max_length=16)] = {}


class RunnerContainer(KubernetesModel):
    """The container that runs the ingestion workflow."""

    image: _Image | None = None
    """Replaces the image of the settings for the server's version; must have the same minor version."""
    image_pull_policy: _PullPolicy | None = None
    resources: Resources = Resources()
    env: Annotated[
        list[EnvironmentVariable], Field(max_length=64, json_schema_extra=keyed_by("name")), unique("name")
    ] = []
    env_from: Annotated[list[EnvironmentFrom], Field(max_length=16)] = []
    volume_mounts: Annotated[
        list[VolumeMount], Field(max_length=32, json_schema_extra=keyed_by("mountPath")), unique("mountPath")
    ] = []


class HttpGet(KubernetesModel):
    path: Annotated[str, Field(pattern="^/", max_length=1024)] = "/"
    port: _Port


class TcpSocket(KubernetesModel):
    port: _Port


class Exec(KubernetesModel):
    command: _Words


class StartupProbe(KubernetesModel):
    """How the kubelet checks that a sidecar is ready; the runner starts only then."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                " + ".join(f"(has(self.{kind}) ? 1 : 0)" for kind in _PROBE_KINDS) + " == 1",
                f"set exactly one of {', '.join(_PROBE_KINDS)}",
            )
        )
    )
    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    period_seconds: Annotated[int, Field(ge=1, le=300)] | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=300)] | None = None
    failure_threshold: Annotated[int, Field(ge=1, le=300)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(kind is not None for kind in (self.http_get, self.tcp_socket, self.exec)) != 1:
            raise ValueError(f"set exactly one of {', '.join(_PROBE_KINDS)}")
        return self


class Sidecar(KubernetesModel):
    """A native sidecar: starts before the runner, ends after it, and has the same restrictions."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                f"self.name != '{RUNNER_CONTAINER}'",
                f"{RUNNER_CONTAINER} is the runner's own container: choose another name",
                ".name",
            )
        )
    )
    name: DnsLabel
    image: _Image | None = None
    """Must be set in one of the layers."""
    image_pull_policy: _PullPolicy | None = None
    command: _Words | None = None
    args: _Words | None = None
    resources: Resources = Resources()
    env: Annotated[
        list[EnvironmentVariable], Field(max_length=32, json_schema_extra=keyed_by("name")), unique("name")
    ] = []
    env_from: Annotated[list[EnvironmentFrom], Field(max_length=8)] = []
    volume_mounts: Annotated[
        list[Mount], Field(max_length=16, json_schema_extra=keyed_by("mountPath")), unique("mountPath")
    ] = []
    startup_probe: StartupProbe | None = None

    @model_validator(mode="after")
    def _other_name(self) -> Self:
        if self.name == RUNNER_CONTAINER:
            raise ValueError(f"{RUNNER_CONTAINER} is the runner's own container: choose another name")
        return self
