"""Error texts of models for people."""

from pydantic import ValidationError


def describe_error(error: ValidationError) -> str:
    """Return one line that names each wrong field and what is wrong with it, without the values."""
    return "; ".join(
        f"{'.'.join(str(part) for part in detail['loc']) or 'document'}: {detail['msg'].removeprefix('Value error, ')}"
        for detail in error.errors(include_url=False, include_input=False)
    )
