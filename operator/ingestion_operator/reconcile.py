"""Bringing a pipeline's children to what its spec asks for."""

from datetime import datetime, timedelta
from typing import Any

from ingestion_operator import constants
from ingestion_operator.errors import Conflict, Forbidden, Invalid, Rejected
from ingestion_operator.models.references import KeyReference
from ingestion_operator.models.resource import Pipeline
from ingestion_operator.models.types import format_timestamp, parse_timestamp
from ingestion_operator.own_writes import OwnWrites
from ingestion_operator.plan import contains
from ingestion_operator.ports import CRONJOBS, SECRETS, ClusterApi
from ingestion_operator.render.cronjob import cronjob, is_paused
from ingestion_operator.settings import Settings


class Reconciler:
    """Writes CronJobs, and only when there is something to write."""

    def __init__(self, cluster: ClusterApi, own_writes: OwnWrites | None = None) -> None:
        """`own_writes` learns what was written, so that its events cost no look."""
        self._cluster = cluster
        self._own_writes = own_writes or OwnWrites()

    def reconcile(self, pipeline: Pipeline, settings: Settings, now: datetime) -> dict[str, Any]:
        """Make the pipeline's CronJob what it should be and return it as it is now.

        Repeatable at any point: each write stands alone. Raises Rejected for what the user has to change,
        ClusterError for what the API server could not do now (Conflict: try again shortly).
        """
        try:
            return self._apply(pipeline, cronjob(pipeline, settings, now), now)
        except Rejected:
            self._pause_at_least(pipeline, now)
            raise

    def _apply(self, pipeline: Pipeline, desired: dict[str, Any], now: datetime) -> dict[str, Any]:
        live = self._cluster.get(CRONJOBS, pipeline.namespace, pipeline.cronjob_name)
        if live is not None:
            _check_owner(live, pipeline)
            if contains(live, desired):
                return live
            start = pipeline.spec.schedule.start_date if pipeline.spec.schedule else None
            if (floor := schedule_floor(live, desired, start, now)) is not None:
                # Before the CronJob may fire: Kubernetes would make up for ticks since this very time.
                self._cluster.merge_patch(
                    CRONJOBS,
                    pipeline.namespace,
                    pipeline.cronjob_name,
                    {
                        "metadata": {"uid": live["metadata"]["uid"]},
                        "status": {"lastScheduleTime": format_timestamp(floor)},
                    },
                    subresource="status",
                )
            # With the uid, the apply fails if the object was replaced meanwhile.
            desired["metadata"]["uid"] = live["metadata"]["uid"]
        try:
            written = self._cluster.apply(CRONJOBS, desired, field_manager=constants.FIELD_MANAGER)
            if not contains(written, desired):
                # Somebody added items to our lists, which an apply leaves alone: replace the lists.
                patch = {"metadata": {"uid": written["metadata"]["uid"]}, "spec": desired["spec"]}
                written = self._cluster.merge_patch(CRONJOBS, pipeline.namespace, pipeline.cronjob_name, patch)
            self._own_writes.note(written)
            return written  # noqa: TRY300  one write or two, refused alike
        except Invalid as error:
            raise Rejected(
                "RefusedByKubernetes", f"Kubernetes refuses the CronJob of this pipeline: {error}"
            ) from error

    def _pause_at_least(self, pipeline: Pipeline, now: datetime) -> None:
        """Suspend the CronJob of an earlier spec where the present, unusable one says that nothing must fire."""
        if not is_paused(pipeline, now):
            return
        live = self._cluster.get(CRONJOBS, pipeline.namespace, pipeline.cronjob_name)
        if live is None or live["spec"].get("suspend") or not is_owned(live, pipeline):
            return
        patch = {"metadata": {"uid": live["metadata"]["uid"]}, "spec": {"suspend": True}}
        self._cluster.merge_patch(CRONJOBS, pipeline.namespace, pipeline.cronjob_name, patch)

    def check_secrets(self, pipeline: Pipeline) -> None:
        """Raise Rejected when a run would wait for a Secret for ever (SecretNotFound, SecretKeyNotFound).

        SecretAccessMissing, where that cannot be told: the kubelet mounts Secrets that the operator may not read.
        """
        spec = pipeline.spec
        for field, reference in (
            ("server.tokenSecretRef", spec.server.token_secret_ref),
            ("connectionSecretRef", spec.connection_secret_ref),
            ("sourceConfigSecretRef", spec.source_config_secret_ref),
        ):
            if reference is not None:
                self._check_secret(pipeline.namespace, f"spec.{field}", reference)

    def _check_secret(self, namespace: str, field: str, reference: KeyReference) -> None:
        try:
            secret = self._cluster.get(SECRETS, namespace, reference.name)
        except Forbidden as error:
            raise Rejected(
                "SecretAccessMissing",
                f"{field} names Secret {namespace}/{reference.name}, which the operator may not read: let an "
                f"administrator add {namespace} to watch.namespaces of the Helm chart, or bind a Role that may get "
                f"Secrets there ({error})",
            ) from error
        if secret is None:
            raise Rejected(
                "SecretNotFound",
                f"{field} names Secret {namespace}/{reference.name}, which does not exist: create it "
                f"with the key {reference.key!r}",
            )
        if reference.key not in secret.get("data", {}):
            raise Rejected(
                "SecretKeyNotFound",
                f"{field} names key {reference.key!r}, which Secret {namespace}/{reference.name} does not have: "
                f"add it, or name one of {', '.join(sorted(secret.get('data', {}))) or 'its keys (it has none)'}",
            )


def is_owned(live: dict[str, Any], pipeline: Pipeline) -> bool:
    """Tell whether an object belongs to this very pipeline, not to an earlier one of its name."""
    owner = _controller(live)
    return owner is not None and bool(owner["uid"] == pipeline.uid)


def _controller(live: dict[str, Any]) -> dict[str, Any] | None:
    return next((o for o in live["metadata"].get("ownerReferences", []) if o.get("controller")), None)


def _check_owner(live: dict[str, Any], pipeline: Pipeline) -> None:
    name = f"CronJob {pipeline.namespace}/{live['metadata']['name']}"
    owner, is_ours = _controller(live), is_owned(live, pipeline)
    was_ours = owner is not None and (owner["kind"], owner["name"]) == (constants.KIND, pipeline.name)
    if live["metadata"].get("deletionTimestamp") or (was_ours and not is_ours):
        raise Conflict(f"{name} is still being deleted: waiting for it to go", code=409)
    if not is_ours:
        raise Rejected(
            "NameTaken",
            f"{name} exists and does not belong to this pipeline: delete or rename it, or rename the pipeline. "
            "It was left alone",
        )


def schedule_floor(
    live: dict[str, Any], desired: dict[str, Any], start_date: datetime | None, now: datetime
) -> datetime | None:
    """Return the time that must count as the last tick before `desired` is applied, None to leave it.

    Kubernetes makes up for the newest tick since the last one when a CronJob is unsuspended or edited. A tick
    that passed while the pipeline was paused, before its startDate or under another schedule must not run.
    Only a window that opens by itself lets ticks since its startDate run.
    """
    if desired["spec"]["suspend"]:
        return None
    same_schedule = all(live["spec"].get(key) == desired["spec"][key] for key in ("schedule", "timeZone"))
    was_suspended = bool(live["spec"].get("suspend"))
    if same_schedule and not was_suspended:
        return None
    opened_at = live["metadata"].get("annotations", {}).get(constants.ANNOTATION_OPENS_AT)
    floor = now
    if start_date and was_suspended and same_schedule and opened_at == format_timestamp(start_date):
        floor = min(now, start_date - timedelta(seconds=1))
    last = parse_timestamp(live.get("status", {}).get("lastScheduleTime"))
    return floor if last is None or last < floor else None
