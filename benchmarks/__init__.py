"""What things cost, measured on the test bed's cluster with the real programs. Each prints one JSON object last."""
