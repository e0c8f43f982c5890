"""The configurable part of a pipeline's pods: a closed subset of Kubernetes' pod template.

It has no host namespaces, hostPath, privileges or API token. So the permission to edit pipelines gives no more than the
permission to create restricted pods in the namespace.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from ingestion_operator.api.affinity import Affinity
from ingestion_operator.api.base import KubernetesModel, cel, cel_list, keyed_by, rules, unique
from ingestion_operator.api.containers import RunnerContainer, Sidecar
from ingestion_operator.api.references import LocalReference
from ingestion_operator.api.types import (
    DataKey,
    DnsLabel,
    DnsSubdomain,
    LabelValue,
    Quantity,
    Text,
)

RESERVED_VOLUMES = ("pipeline", "token", "connection", "source-config", "automation", "tmp")
_VOLUME_KINDS = ("secret", "configMap", "emptyDir", "persistentVolumeClaim")


class PodMetadata(KubernetesModel):
    """Labels and annotations of the pod. The operator's own take precedence."""

    labels: Annotated[dict[str, LabelValue], Field(max_length=32)] = {}
    annotations: Annotated[dict[str, Text], Field(max_length=32)] = {}


class Toleration(KubernetesModel):
    key: Annotated[str, Field(max_length=316)] | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: Annotated[str, Field(max_length=63)] | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class KeyToPath(KubernetesModel):
    key: DataKey
    path: Annotated[str, Field(min_length=1, max_length=1024)]


class SecretVolume(KubernetesModel):
    secret_name: DnsSubdomain
    items: Annotated[list[KeyToPath], Field(max_length=64)] | None = None
    optional: bool | None = None


class ConfigMapVolume(KubernetesModel):
    name: DnsSubdomain
    items: Annotated[list[KeyToPath], Field(max_length=64)] | None = None
    optional: bool | None = None


class EmptyDirVolume(KubernetesModel):
    medium: Literal["Memory"] | None = None
    size_limit: Quantity | None = None


class ClaimVolume(KubernetesModel):
    claim_name: DnsSubdomain
    read_only: bool | None = None


class Volume(KubernetesModel):
    """A volume of one of four kinds. Others, such as hostPath, are not supported."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                " + ".join(f"(has(self.{kind}) ? 1 : 0)" for kind in _VOLUME_KINDS) + " == 1",
                f"set exactly one of {', '.join(_VOLUME_KINDS)}",
            ),
            cel(
                f"!(self.name in {cel_list(RESERVED_VOLUMES)})",
                f"{', '.join(RESERVED_VOLUMES)} are volumes of the operator: choose another name",
                ".name",
                text=True,
            ),
        )
    )
    name: DnsLabel
    secret: SecretVolume | None = None
    config_map: ConfigMapVolume | None = None
    empty_dir: EmptyDirVolume | None = None
    persistent_volume_claim: ClaimVolume | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = (self.secret, self.config_map, self.empty_dir, self.persistent_volume_claim)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError(f"set exactly one of {', '.join(_VOLUME_KINDS)}")
        if self.name in RESERVED_VOLUMES:
            raise ValueError(f"{self.name} is a volume of the operator: choose another name")
        return self


class PodSecurityContext(KubernetesModel):
    """User and group ids. Everything else is fixed by the restricted Pod Security Standard."""

    run_as_user: Annotated[int, Field(ge=1, le=2147483647)] | None = None
    run_as_group: Annotated[int, Field(ge=1, le=2147483647)] | None = None
    fs_group: Annotated[int, Field(ge=1, le=2147483647)] | None = None


class HostAlias(KubernetesModel):
    ip: Annotated[str, Field(max_length=45)]
    hostnames: Annotated[list[DnsSubdomain], Field(max_length=16)]


class PodSpec(KubernetesModel):
    """Scheduling, identity and volumes of the pod."""

    node_selector: Annotated[dict[str, LabelValue], Field(max_length=16)] = {}
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    affinity: Affinity | None = None
    priority_class_name: DnsSubdomain | None = None
    runtime_class_name: DnsSubdomain | None = None
    scheduler_name: DnsSubdomain | None = None
    service_account_name: DnsSubdomain | None = None
    """Must be one of allowedServiceAccounts in the settings. Its API token is not mounted."""
    image_pull_secrets: Annotated[
        list[LocalReference], Field(max_length=8, json_schema_extra=keyed_by("name")), unique("name")
    ] = []
    security_context: PodSecurityContext = PodSecurityContext()
    host_aliases: Annotated[list[HostAlias], Field(max_length=16, json_schema_extra=keyed_by("ip")), unique("ip")] = []
    volumes: Annotated[list[Volume], Field(max_length=16, json_schema_extra=keyed_by("name")), unique("name")] = []


class PodTemplate(KubernetesModel):
    """Merged over the layers of the settings, which are defaults, pipeline type and service, in this order."""

    metadata: PodMetadata = PodMetadata()
    spec: PodSpec = PodSpec()
    container: RunnerContainer = RunnerContainer()
    sidecars: Annotated[list[Sidecar], Field(max_length=4, json_schema_extra=keyed_by("name")), unique("name")] = []

    def as_dict(self) -> dict[str, Any]:
        """Return the fields that were set, with Kubernetes' names."""
        return self.model_dump(by_alias=True, exclude_unset=True, exclude_none=True, mode="json")
