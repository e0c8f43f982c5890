"""The one importer of kopf: watches that mark pipelines, and the queue that works on them."""
