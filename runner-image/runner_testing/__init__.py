"""Support for the runner's tests: a recording server, a pod's mounts, stand-ins for the workflow.

It lies beside the package so that tests can import it; the image does not get it.
"""
