"""The log archive: how logs of runs lie in a store, and how they are read from it."""
