"""The reconciliation of a pipeline: observe -> plan -> act."""
