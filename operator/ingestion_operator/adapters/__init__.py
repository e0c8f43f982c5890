"""Implementations of the ports: Kubernetes, OpenMetadata, object stores, certificates, the time."""
