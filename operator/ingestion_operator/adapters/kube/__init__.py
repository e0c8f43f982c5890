"""Implementations of the ports for Kubernetes. Only this package imports the Kubernetes client."""
