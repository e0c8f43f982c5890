"""What keeps the operator's process going: the work queue, the leader election, health."""
