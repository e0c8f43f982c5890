"""The one importer of the Kubernetes client."""
