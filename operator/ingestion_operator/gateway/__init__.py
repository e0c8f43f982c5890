"""The gateway: serves from Kubernetes the REST contract that an unmodified OpenMetadata server expects of Airflow.

A thin HTTP layer over the pipeline service client. It keeps no state, so any number of replicas behave as one.
"""
