"""The operator's process, and the one importer of kopf."""
