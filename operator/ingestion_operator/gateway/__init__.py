"""The gateway: the REST contract that a stock OpenMetadata server speaks to Airflow, served from Kubernetes.

A thin layer of HTTP over the pipeline service client. It keeps no state: any number of replicas behave as one.
"""
