"""A single-node Kubernetes from Go modules, in a network namespace and a cgroup of its own."""
