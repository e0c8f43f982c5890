"""The test cluster: a real Kubernetes for tests, the demo and the benchmarks.

``python -m testcluster up`` gives a cluster, whatever the machine has: the one named by
``INGESTION_OPERATOR_KUBECONFIG``, else kind where Docker runs, else a real single-node Kubernetes
built from its Go modules (root needed). Nothing is ever skipped: what is missing is an error that
carries the command to fix it.

    from testcluster import provider

    cluster = provider.up()
    cluster.kubectl("get", "nodes")
"""
