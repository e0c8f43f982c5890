"""Apache Airflow with OpenMetadata's plugin beside this operator and its gateway, in one run on one machine."""
