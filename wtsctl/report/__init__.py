"""Results as text or JSON. The only package that writes on stdout, and the only one that imports rich."""
