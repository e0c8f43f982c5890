"""Names of the objects of a pipeline, derived from its name in OpenMetadata; pure functions.

OpenMetadata's names are any Unicode text of up to 256 characters. Kubernetes' names have lower-case letters, digits and
dashes. Each name here is a readable slug with a hash of the whole name, so that different names do not collide.
"""

import hashlib
import re
from typing import Final

from ingestion_operator.constants import CRONJOB_NAME_LIMIT
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.naming import last_part as last_part  # noqa: PLC0414  for its importers here

NAME_LIMIT: Final = 256
_HASH_LENGTH: Final = 12
"""48 bits: two of 100,000 names collide with a probability of 1 in 56,000. A collision is rejected."""

_RUN_HASH_LENGTH: Final = 10
_TOKEN_HASH_LENGTH: Final = 20


def check_name(name: str) -> str:
    """Return the pipeline's name. Raises Rejected (InvalidParameter) if it is not a name in OpenMetadata."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise Rejected("InvalidParameter", "Invalid parameter value for 'name': it is not valid Unicode") from error
    if not 1 <= len(name) <= NAME_LIMIT:
        raise Rejected("InvalidParameter", f"Invalid parameter value for 'name': give 1 to {NAME_LIMIT} characters")
    return name


def resource_name(name: str) -> str:
    """Return the name of the IngestionPipeline of a deployed pipeline."""
    room = CRONJOB_NAME_LIMIT - _HASH_LENGTH - 1
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower())[:room].strip("-") or "pipeline"
    return f"{slug}-{_hash(name, _HASH_LENGTH)}"


def job_name(cronjob_name: str, run_id: str) -> str:
    """Return the name of a run's Job, of at most 63 characters."""
    return f"{cronjob_name}-{_hash(run_id, _RUN_HASH_LENGTH)}"


def source_config_secret_name(resource: str) -> str:
    """Return the name of the Secret with a pipeline's source configuration."""
    return f"{resource}-source-config"


def token_secret_name(host_port: str, bot: str) -> str:
    """Return the name of the Secret with a bot's token for a server, which all their pipelines share."""
    server = host_port.rstrip("/")
    return f"openmetadata-token-{_hash(f'{server} {bot}', _TOKEN_HASH_LENGTH)}"


def _hash(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]
