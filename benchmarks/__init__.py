"""What things cost, measured on the test cluster with the real programs. Each prints one JSON object last."""
