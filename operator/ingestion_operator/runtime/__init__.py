"""Infrastructure of a process: work queue, leader election, health, logging, back-off."""
