"""Administration of a workshop platform's LLM layer on Kubernetes or OpenShift."""

__version__ = "0.1.0"
