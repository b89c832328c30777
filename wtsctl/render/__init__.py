"""Catalog and template texts in, Kubernetes manifests out. Pure: reads no file, writes nothing."""
