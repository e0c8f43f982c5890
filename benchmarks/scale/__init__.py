"""What thousands of pipelines cost: the real operator and gateway beside a real API server, without pods that run."""
