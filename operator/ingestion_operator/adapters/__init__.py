"""Implementations of the ports: Kubernetes, OpenMetadata, object stores, warm pods, the system clock."""
