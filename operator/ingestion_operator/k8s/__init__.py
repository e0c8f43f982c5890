"""Kubernetes objects as this program reads them; pure functions."""
