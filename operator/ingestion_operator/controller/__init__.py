"""The operator's process. Only this package imports kopf."""
