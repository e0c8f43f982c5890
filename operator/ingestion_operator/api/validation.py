"""Messages of validation errors."""

from pydantic import ValidationError


def describe_error(error: ValidationError) -> str:
    """Return one line with each invalid field and its error, without the values."""
    return "; ".join(
        f"{'.'.join(str(part) for part in detail['loc']) or 'document'}: {detail['msg'].removeprefix('Value error, ')}"
        for detail in error.errors(include_url=False, include_input=False)
    )
