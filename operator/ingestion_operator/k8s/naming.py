"""Names of children, derived from a pipeline's name, and the parts of OpenMetadata's fully qualified names."""

import hashlib
import re

from ingestion_operator.constants import CRONJOB_NAME_LIMIT

_HASH_LENGTH = 8
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_DERIVED = re.compile(rf".*--[0-9a-f]{{{_HASH_LENGTH}}}")
_FQN_PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


def short_hash(text: str) -> str:
    """Return 8 lower-case hexadecimal characters that stand for `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def cronjob_name(pipeline_name: str) -> str:
    """Return the name of a pipeline's CronJob, which is also the value of its pipeline label.

    A pipeline's name is a DNS subdomain of up to 253 characters. One that is a DNS label of at most 52
    characters is kept; any other is cut, cleaned of dots and told apart by a hash of the whole. A name that looks
    as if it was derived like this is derived again, so that no two pipelines meet.
    """
    is_label = len(pipeline_name) <= CRONJOB_NAME_LIMIT and _DNS_LABEL.fullmatch(pipeline_name)
    if is_label and not _DERIVED.fullmatch(pipeline_name):
        return pipeline_name
    room = CRONJOB_NAME_LIMIT - _HASH_LENGTH - 2
    stem = re.sub(r"[^a-z0-9-]", "-", pipeline_name.lower())[:room].strip("-")
    return f"{stem}--{short_hash(pipeline_name)}".lstrip("-")


def quoted_part(name: str) -> str:
    """Return one part of a fully qualified name as OpenMetadata writes it: in quotes when it holds a dot."""
    return f'"{name}"' if "." in name and not name.startswith('"') else name


def last_part(fully_qualified_name: str) -> str:
    """Return the bare name at the end of a fully qualified name; parts with dots stand in quotes."""
    parts = _FQN_PART.findall(fully_qualified_name)
    quoted, bare = parts[-1] if parts else ("", fully_qualified_name)
    return bare or quoted.replace('""', '"')
