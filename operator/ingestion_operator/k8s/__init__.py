"""Schedules, clock changes, names, quantities and differences, as Kubernetes has them; pure functions."""
