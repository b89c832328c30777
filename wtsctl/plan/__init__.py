"""What can be said before anything is deployed: findings, and what fits where. Pure: no file, no cluster."""
