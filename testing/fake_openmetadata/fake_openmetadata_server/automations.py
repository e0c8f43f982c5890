"""Automations as tests put them in, and what has become of them."""

from typing import Any

from . import schemas
from .catalog import Catalog, Entity
from .kinds import AUTOMATIONS
from .wire import ApiError, Reply


def register(catalog: Catalog, name: str, body: dict[str, Any]) -> Reply:
    """Create the automation as the dialog does before it triggers it: Pending, without a response.

    Body: request, and what of a create request differs from a test of a connection.
    """
    create = {"workflowType": "TEST_CONNECTION", "status": "Pending", **body, "name": name}
    schemas.check(AUTOMATIONS.create, create)
    existing = catalog.find(AUTOMATIONS, name)
    if existing is not None:
        catalog.delete(AUTOMATIONS, existing, hard=True, recursive=False)
    entity, _ = catalog.write(AUTOMATIONS, create)
    return Reply(201, entity)


def described(catalog: Catalog, name_or_id: str) -> dict[str, Any]:
    """The automation with all its versions, also when it has been deleted by its id since.

    Raises ApiError 404.
    """
    known = catalog.find(AUTOMATIONS, name_or_id)
    versions = catalog.versions(known["id"] if known is not None else name_or_id)
    if not versions:
        raise ApiError(404, f"there has been no automation {name_or_id}")
    newest = versions[-1]
    return {
        "id": newest["id"],
        "name": newest["name"],
        **_state(newest),
        "deleted": catalog.find_by_id(AUTOMATIONS, newest["id"]) is None,
        "history": [{"at": version["updatedAt"], **_state(version)} for version in versions],
    }


def _state(version: Entity) -> dict[str, Any]:
    return {"status": version.get("status"), "response": version.get("response")}
