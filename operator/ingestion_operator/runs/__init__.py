"""From Jobs and Pods to run records; pure functions."""
