"""Kubernetes' affinity rules with all fields, so that the schema of the pod template has no open parts."""

from typing import Annotated, Literal

from pydantic import Field

from ingestion_operator.api.base import KubernetesModel
from ingestion_operator.api.types import DnsSubdomain, LabelKey, LabelValue

_Values = Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=32)]
_Weight = Annotated[int, Field(ge=1, le=100)]


class NodeSelectorRequirement(KubernetesModel):
    key: LabelKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: _Values | None = None


class NodeSelectorTerm(KubernetesModel):
    match_expressions: Annotated[list[NodeSelectorRequirement], Field(max_length=16)] | None = None
    match_fields: Annotated[list[NodeSelectorRequirement], Field(max_length=16)] | None = None


class NodeSelector(KubernetesModel):
    node_selector_terms: Annotated[list[NodeSelectorTerm], Field(min_length=1, max_length=16)]


class PreferredNodeTerm(KubernetesModel):
    weight: _Weight
    preference: NodeSelectorTerm


class NodeAffinity(KubernetesModel):
    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: (
        Annotated[list[PreferredNodeTerm], Field(max_length=16)] | None
    ) = None


class LabelRequirement(KubernetesModel):
    key: LabelKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: _Values | None = None


class LabelSelector(KubernetesModel):
    match_labels: Annotated[dict[str, LabelValue], Field(max_length=16)] | None = None
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=16)] | None = None


class PodAffinityTerm(KubernetesModel):
    topology_key: LabelKey
    label_selector: LabelSelector | None = None
    namespaces: Annotated[list[DnsSubdomain], Field(max_length=16)] | None = None


class WeightedPodAffinityTerm(KubernetesModel):
    weight: _Weight
    pod_affinity_term: PodAffinityTerm


class PodAffinity(KubernetesModel):
    required_during_scheduling_ignored_during_execution: (
        Annotated[list[PodAffinityTerm], Field(max_length=16)] | None
    ) = None
    preferred_during_scheduling_ignored_during_execution: (
        Annotated[list[WeightedPodAffinityTerm], Field(max_length=16)] | None
    ) = None


class Affinity(KubernetesModel):
    """Rules for the choice of the node, by its labels and by the pods on it."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None
