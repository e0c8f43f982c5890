"""Kubernetes' schedules, clock changes, names, quantities, objects and comparisons; pure functions."""
