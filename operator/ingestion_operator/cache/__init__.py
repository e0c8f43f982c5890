"""The cache of facts: what reflectors read of the cluster, as frozen records in a store."""
