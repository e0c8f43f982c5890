"""Names that other programs depend on: API group, labels, annotations, file paths, limits.

A changed name breaks the objects that exist in clusters.
"""

from typing import Final

GROUP: Final = "ingestion.openmetadata.org"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "IngestionPipeline"
PLURAL: Final = "ingestionpipelines"
SINGULAR: Final = "ingestionpipeline"
SHORT_NAME: Final = "omip"
CATEGORY: Final = "openmetadata"
COLUMN_FULL_NAME: Final = "Full-Name"
"""Column of `kubectl get -o wide`: spec.fullyQualifiedName, by which the gateway finds pipelines applied by a user."""

FIELD_MANAGER: Final = "ingestion-operator"
"""Field manager of CronJobs in server-side apply."""

STATUS_FIELD_MANAGER: Final = "ingestion-operator-status"
"""Field manager of a pipeline's status."""

CLIENT_FIELD_MANAGER: Final = "ingestion-pipeline-service"
"""Field manager of the objects that K8sPipelineServiceClient writes."""

LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "ingestion-operator"
LABEL_PIPELINE: Final = f"{GROUP}/pipeline"
"""On CronJobs, Jobs and Pods: the pipeline's CronJob name (<= 52 characters, one per pipeline)."""

LABEL_VERSION: Final = "app.kubernetes.io/version"
"""On pods: the version of openmetadata-ingestion in the runner's image."""

LABEL_PIPELINE_TYPE: Final = f"{GROUP}/pipeline-type"

LABEL_ONE_OFF: Final = f"{GROUP}/one-off"
"""On Jobs and Pods that belong to no pipeline: `automation` or `application`."""

LABEL_WARM_POOL: Final = f"{GROUP}/warm-pool"
"""On Jobs and Pods of the warm pool: the kind of work that they run, `automations`."""

ANNOTATION_WARM_SLOT: Final = f"{GROUP}/warm-slot"
"""On Jobs of the warm pool: the number of their slot."""

ANNOTATION_CLAIMED_AT: Final = f"{GROUP}/claimed-at"
"""On Jobs of the warm pool that were chosen for an automation: the time of the claim."""

ANNOTATION_PIPELINE_NAME: Final = f"{GROUP}/pipeline-name"
"""On CronJobs, Jobs and Pods: the full name of the IngestionPipeline, which may be too long for a label."""

ANNOTATION_RUN_INPUT: Final = f"{GROUP}/run-input"
"""On the pod template: the runner's input as JSON, so that a Job is a snapshot of its configuration."""

ANNOTATION_RUN_ID: Final = f"{GROUP}/run-id"
"""On the pod template of a run whose caller chose the id. If absent, the Job's UID is the run id."""

ANNOTATION_FINGERPRINT: Final = f"{GROUP}/fingerprint"
"""On CronJobs: hash of the desired CronJob, so that an unchanged pipeline needs no write. On Jobs of the warm pool:
hash of the desired Job, so that the gateway finds outdated ones."""

ANNOTATION_GENERATION: Final = f"{GROUP}/generation"
"""On CronJobs: metadata.generation after the operator's last write. If it differs, another client changed the spec."""

ANNOTATION_WINDOW_OPENS_AT: Final = f"{GROUP}/window-opens-at"
"""On a CronJob that waits for its startDate: that date. It distinguishes the startDate from a user's unsuspend."""

ANNOTATION_INSTANTIATE: Final = "cronjob.kubernetes.io/instantiate"
"""Set to `manual` by `kubectl create job --from=cronjob/…`."""

ANNOTATION_SCHEDULED_AT: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"

LABEL_JOB_UID: Final = "batch.kubernetes.io/controller-uid"

LABEL_DEPLOYED_BY: Final = f"{GROUP}/deployed-by"
"""On pipelines and Secrets that K8sPipelineServiceClient created. Pipelines without it were applied by a user."""

DEPLOYED_BY: Final = "pipeline-service"

ANNOTATION_ENTITY_NAME: Final = f"{GROUP}/entity-name"
"""On deployed pipelines: the pipeline's name in OpenMetadata without the service, any Unicode."""

ANNOTATION_ENTITY_FQN: Final = f"{GROUP}/entity-fqn"
ANNOTATION_ENTITY_ID: Final = f"{GROUP}/entity-id"

ANNOTATION_IGNORED_FIELDS: Final = f"{GROUP}/ignored-fields"
"""On deployed pipelines: fields of the entity that have no effect, comma-separated."""

ANNOTATION_REQUESTED_AT: Final = f"{GROUP}/requested-at"
"""On Jobs that wait for admission by the operator: when the run was requested, to the microsecond."""

ANNOTATION_ADMITTED_AT: Final = f"{GROUP}/admitted-at"
"""On Jobs that the operator admitted. If a user suspends one later, the operator does not resume it."""

ANNOTATION_ADMISSION_HOLD: Final = f"{GROUP}/admission-hold"
"""On a Job whose Secret is not written yet: the operator does not admit it."""

ANNOTATION_STOP: Final = f"{GROUP}/stop"
"""On a Job that must be stopped: when that was requested, in whole seconds."""

ANNOTATION_STOPPED_BY: Final = f"{GROUP}/stopped-by"
"""On a Job that must be stopped: who requested it, for display."""

ANNOTATION_KILL: Final = f"{GROUP}/kill"
"""On a pipeline: the runs to stop. A time means the runs requested up to then; a run id means that run."""

ANNOTATION_TERMINATED_REASON: Final = f"{GROUP}/terminated-reason"
"""On a Job that the operator terminated: `<reason>: <message>` of its run."""

ANNOTATION_MEMORY_LIMITS: Final = f"{GROUP}/memory-limits"
"""On Jobs whose run is retried with more memory: the limits after the first, smallest first, comma-separated."""

ANNOTATION_NEXT_MEMORY_LIMIT: Final = f"{GROUP}/next-memory-limit"
"""On a Job that is suspended since its run was out of memory: the limit of the next attempt."""

ANNOTATION_MEMORY_RESIZE_ERROR: Final = f"{GROUP}/memory-resize-error"
"""On a Job whose memory limit could not be raised: the error."""

ANNOTATION_REPLACED_BY: Final = f"{GROUP}/replaced-by"
"""On a suspended Job whose run continues in a replacement Job: the name of that Job."""

LABEL_QUEUE_NAME: Final = "kueue.x-k8s.io/queue-name"
"""On a Job that Kueue admits instead of this operator."""

LEASE_NAME: Final = "ingestion-operator"
"""The Lease that elects the leader and is the operator's heartbeat."""

SOURCE_CONFIG_KEY: Final = "source-config"
TOKEN_KEY: Final = "token"  # noqa: S105  the key of a Secret, not a token

AUTOMATION_KEY: Final = "automation"
CERTIFICATE_KEY: Final = "certificate"
HANDOVER_SECRET_KEY: Final = "secret"  # noqa: S105  the key of a Secret
"""Keys of a warm pod's Secret: its TLS certificate with the private key, and the secret that the gateway presents."""

RUNNER_CONTAINER: Final = "ingestion"
RUNNER_USER: Final = 65532
PIPELINE_DIRECTORY: Final = "/ingestion/pipeline"
TOKEN_DIRECTORY: Final = "/ingestion/token"  # noqa: S105  a directory, not a token
CONNECTION_DIRECTORY: Final = "/ingestion/connection"
SOURCE_CONFIG_DIRECTORY: Final = "/ingestion/source-config"
AUTOMATION_DIRECTORY: Final = "/ingestion/automation"
CERTIFICATE_DIRECTORY: Final = "/ingestion/certificate"
HANDOVER_SECRET_DIRECTORY: Final = "/ingestion/secret"  # noqa: S105  a directory
TEMPORARY_DIRECTORY: Final = "/tmp"  # noqa: S108  an emptyDir in the runner's pod

WARM_POD_PORT: Final = 8443

EXIT_CONFIGURATION: Final = 2
"""Exit code of the runner for errors that a retry cannot fix."""

EXIT_OUTSIDE_SCHEDULE: Final = 3
"""Exit code of a runner that was started outside startDate/endDate."""

CRONJOB_NAME_LIMIT: Final = 52
"""Kubernetes appends 11 characters for the name of the Job, which may have 63."""

RUN_INPUT_LIMIT_BYTES: Final = 200 * 1024
"""All annotations of an object together may have 256 KiB."""

STATUS_RUNS_LIMIT: Final = 20
STATUS_IDS_LIMIT: Final = 100
"""Maximum number of ids of active and of queued runs in a status."""

REASON_LIMIT: Final = 64
ATTEMPTS_LIMIT: Final = 32
"""Maximum number of attempts in the record of a run, the last ones: drained pods are replaced without limit."""

RUN_ID_LIMIT: Final = 64
MESSAGE_LIMIT_BYTES: Final = 1024

LOG_PAGE_CHARACTERS: Final = 2_000_000
"""Maximum size of a log page in OpenMetadata's user interface."""
