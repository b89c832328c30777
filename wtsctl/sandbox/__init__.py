"""A Kubernetes on this machine, for trying wtsctl and for its tests."""
