"""One reconciliation of one pipeline: observe -> plan -> act."""
