"""What the cluster's objects say about each model. Pure: object dicts in, health out; one file a kind."""
