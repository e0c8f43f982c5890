"""Names of child objects, derived from the pipeline's name, and parts of OpenMetadata's fully qualified names."""

import hashlib
import re

from ingestion_operator.constants import CRONJOB_NAME_LIMIT

_HASH_LENGTH = 8
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_DERIVED = re.compile(rf".*--[0-9a-f]{{{_HASH_LENGTH}}}")
_FQN_PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


def short_hash(text: str) -> str:
    """Return a hash of `text` of 8 lower-case hexadecimal characters."""
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def cronjob_name(pipeline_name: str) -> str:
    """Return the name of a pipeline's CronJob, which is also the value of the pipeline label.

    The name of a pipeline is a DNS subdomain of up to 253 characters. A DNS label of at most 52 characters is used as
    it is. Any other name is shortened, its dots become dashes, and a hash of the whole name is appended. Names that
    already have the form of such a result are hashed too, so that two pipelines never have the same CronJob name.
    """
    is_label = len(pipeline_name) <= CRONJOB_NAME_LIMIT and _DNS_LABEL.fullmatch(pipeline_name)
    if is_label and not _DERIVED.fullmatch(pipeline_name):
        return pipeline_name
    room = CRONJOB_NAME_LIMIT - _HASH_LENGTH - 2
    stem = re.sub(r"[^a-z0-9-]", "-", pipeline_name.lower())[:room].strip("-")
    return f"{stem}--{short_hash(pipeline_name)}".lstrip("-")


def quoted_part(name: str) -> str:
    """Return one part of a fully qualified name as OpenMetadata writes it: in quotes if it contains a dot."""
    return f'"{name}"' if "." in name and not name.startswith('"') else name


def last_part(fully_qualified_name: str) -> str:
    """Return the last part of a fully qualified name, without quotes."""
    parts = _FQN_PART.findall(fully_qualified_name)
    quoted, bare = parts[-1] if parts else ("", fully_qualified_name)
    return bare or quoted.replace('""', '"')
