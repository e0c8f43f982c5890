"""RFC 6902, on copies."""

from copy import deepcopy
from typing import Any

from .wire import InvalidBodyError


def apply(document: dict[str, Any], operations: Any) -> dict[str, Any]:
    """The patched copy; raises InvalidBodyError when an operation does not apply."""
    if not isinstance(operations, list):
        raise InvalidBodyError("a JSON patch is a list of operations")
    result = deepcopy(document)
    for operation in operations:
        try:
            _apply_one(result, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise InvalidBodyError(f"patch operation {operation!r} does not apply: {error!r}") from error
    return result


def _apply_one(document: dict[str, Any], operation: dict[str, Any]) -> None:
    path = _tokens(operation["path"])
    match operation["op"]:
        case "add":
            _add(document, path, deepcopy(operation["value"]))
        case "remove":
            _remove(document, path)
        case "replace":
            _remove(document, path)
            _add(document, path, deepcopy(operation["value"]))
        case "move":
            _add(document, path, _remove(document, _tokens(operation["from"])))
        case "copy":
            _add(document, path, deepcopy(_at(document, _tokens(operation["from"]))))
        case "test":
            if _at(document, path) != operation["value"]:
                raise ValueError("the tested value differs")
        case other:
            raise ValueError(f"unknown operation {other}")


def _tokens(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is not a path inside the document")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]


def _at(document: Any, path: list[str]) -> Any:
    for token in path:
        document = document[int(token)] if isinstance(document, list) else document[token]
    return document


def _add(document: Any, path: list[str], value: Any) -> None:
    target, last = _at(document, path[:-1]), path[-1]
    if not isinstance(target, list):
        target[last] = value
    elif last == "-":
        target.append(value)
    elif int(last) > len(target):
        raise IndexError(f"{last} is past the end")
    else:
        target.insert(int(last), value)


def _remove(document: Any, path: list[str]) -> Any:
    target, last = _at(document, path[:-1]), path[-1]
    return target.pop(int(last) if isinstance(target, list) else last)
