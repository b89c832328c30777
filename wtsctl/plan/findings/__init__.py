"""What would break, or does not hold together, found in the catalog and in the manifests made from it.

`rule.py` says what a rule is, `registry.py` lists them all, `check.py` runs them. A new rule is a function over the
`Subject` and its `Rule` beside it, in the file of its area.
"""
