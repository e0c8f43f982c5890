"""The log archive: how the logs of runs are written to a store, and how they are read."""
