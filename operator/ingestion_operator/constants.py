"""Names that other programs see: API group, labels, annotations, file paths, reasons.

Changing one of them breaks objects that already exist in somebody's cluster.
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
"""Of `kubectl get -o wide`: spec.fullyQualifiedName, by which the gateway finds pipelines that somebody applied."""


FIELD_MANAGER: Final = "ingestion-operator"
"""Owner of the fields of CronJobs in server-side apply."""

STATUS_FIELD_MANAGER: Final = "ingestion-operator-status"
"""Owner of the fields of a pipeline's status."""

CLIENT_FIELD_MANAGER: Final = "ingestion-pipeline-service"
"""Owner of what K8sPipelineServiceClient writes."""

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
"""On Jobs and Pods that wait for what they are to do, or have been given it: what they wait for, `automations`."""

ANNOTATION_WARM_SLOT: Final = f"{GROUP}/warm-slot"
"""On Jobs of the warm pool: which of its places they hold."""

ANNOTATION_CLAIMED_AT: Final = f"{GROUP}/claimed-at"
"""On Jobs of the warm pool that have been given something to do, or were chosen for it."""

ANNOTATION_PIPELINE_NAME: Final = f"{GROUP}/pipeline-name"
"""On CronJobs, Jobs and Pods: the whole name of the IngestionPipeline, which a label may be too short for."""

ANNOTATION_RUN_INPUT: Final = f"{GROUP}/run-input"
"""On the pod template: what the runner reads, as JSON. A Job is thereby a snapshot of its configuration."""

ANNOTATION_RUN_ID: Final = f"{GROUP}/run-id"
"""On the pod template of a run whose caller chose the id; absent: the Job's UID is the run id."""

ANNOTATION_FINGERPRINT: Final = f"{GROUP}/fingerprint"
"""On CronJobs: hash of what the operator wants, so that an unchanged pipeline costs no write. On Jobs of the warm pool:
hash of what the gateway wants, so that outdated ones are known."""

ANNOTATION_GENERATION: Final = f"{GROUP}/generation"
"""On CronJobs: metadata.generation as the operator's last write left it. Another one: another client has changed the
spec."""

ANNOTATION_WINDOW_OPENS_AT: Final = f"{GROUP}/window-opens-at"
"""On a CronJob that waits for its startDate: that date. Tells an opening window from somebody's un-pause."""

ANNOTATION_INSTANTIATE: Final = "cronjob.kubernetes.io/instantiate"
"""kubectl sets it to `manual` on `kubectl create job --from=cronjob/…`."""

ANNOTATION_SCHEDULED_AT: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"

LABEL_JOB_UID: Final = "batch.kubernetes.io/controller-uid"

LABEL_DEPLOYED_BY: Final = f"{GROUP}/deployed-by"
"""On pipelines and Secrets that K8sPipelineServiceClient made. What lacks it was applied by somebody else."""

DEPLOYED_BY: Final = "pipeline-service"

ANNOTATION_ENTITY_NAME: Final = f"{GROUP}/entity-name"
"""On pipelines that were deployed: the pipeline's bare name in OpenMetadata, any Unicode."""

ANNOTATION_ENTITY_FQN: Final = f"{GROUP}/entity-fqn"
ANNOTATION_ENTITY_ID: Final = f"{GROUP}/entity-id"

ANNOTATION_IGNORED_FIELDS: Final = f"{GROUP}/ignored-fields"
"""On pipelines that were deployed: fields of the entity that were asked for and have no effect, comma-separated."""

ANNOTATION_REQUESTED_AT: Final = f"{GROUP}/requested-at"
"""On Jobs that wait in the queue for the operator to admit them: when the run was asked for, in microseconds."""

ANNOTATION_ADMITTED_AT: Final = f"{GROUP}/admitted-at"
"""On Jobs that the operator has admitted; one that somebody suspends later is left alone."""

ANNOTATION_ADMISSION_HOLD: Final = f"{GROUP}/admission-hold"
"""On a Job whose Secret is still to be written: it must not be admitted."""

ANNOTATION_STOP: Final = f"{GROUP}/stop"
"""On a Job that must end: when that was asked for, in whole seconds."""

ANNOTATION_STOPPED_BY: Final = f"{GROUP}/stopped-by"
"""On a Job that must end: who asked for that, for people."""

ANNOTATION_KILL: Final = f"{GROUP}/kill"
"""On a pipeline: which of its runs must end. A moment: those asked for until then; a run id: that one."""

ANNOTATION_TERMINATED_REASON: Final = f"{GROUP}/terminated-reason"
"""On a Job whose pod could not start in time: `<reason>: <message>` of its run."""

ANNOTATION_MEMORY_LIMITS: Final = f"{GROUP}/memory-limits"
"""On Jobs whose run is repeated with more memory: the limits that follow the first, smallest first, comma-separated."""

ANNOTATION_NEXT_MEMORY_LIMIT: Final = f"{GROUP}/next-memory-limit"
"""On a Job that is suspended because its run ran out of memory: the limit that its next attempt gets."""

ANNOTATION_MEMORY_RESIZE_ERROR: Final = f"{GROUP}/memory-resize-error"
"""On a Job that could not be given more memory: why."""

ANNOTATION_REPLACED_BY: Final = f"{GROUP}/replaced-by"
"""On a suspended Job whose run goes on in another: that Job's name."""

LABEL_QUEUE_NAME: Final = "kueue.x-k8s.io/queue-name"
"""On a Job that Kueue admits, not this operator."""

LEASE_NAME: Final = "ingestion-operator"
"""The operator's sign of life."""

SOURCE_CONFIG_KEY: Final = "source-config"
TOKEN_KEY: Final = "token"  # noqa: S105  the key of a Secret, not a token

AUTOMATION_KEY: Final = "automation"
CERTIFICATE_KEY: Final = "certificate"
HANDOVER_SECRET_KEY: Final = "secret"  # noqa: S105  the key of a Secret
"""Of a warm pod's Secret: its TLS certificate with the private key, and what the gateway shows it."""

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
"""Exit code of the runner for what no repetition can mend."""

EXIT_OUTSIDE_SCHEDULE: Final = 3
"""Exit code of the runner that was started outside startDate/endDate."""

CRONJOB_NAME_LIMIT: Final = 52
"""Kubernetes appends 11 characters for the Job, whose name may have 63."""

RUN_INPUT_LIMIT_BYTES: Final = 200 * 1024
"""All annotations of an object together may have 256 KiB."""

STATUS_RUNS_LIMIT: Final = 20
STATUS_IDS_LIMIT: Final = 100
"""Ids of active and queued runs in a status."""

REASON_LIMIT: Final = 64
ATTEMPTS_LIMIT: Final = 32
"""Attempts kept of one run, the last ones: a drained pod is repeated without end."""
RUN_ID_LIMIT: Final = 64
MESSAGE_LIMIT_BYTES: Final = 1024

LOG_PAGE_CHARACTERS: Final = 2_000_000
"""What OpenMetadata's user interface takes at a time."""
