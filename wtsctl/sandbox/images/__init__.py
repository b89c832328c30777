"""The container images of the sandbox, built on this machine and cached."""
