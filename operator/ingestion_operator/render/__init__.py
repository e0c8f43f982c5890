"""Renders the Kubernetes objects of pipelines, automations and applications; pure functions."""
