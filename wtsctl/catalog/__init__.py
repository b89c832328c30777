"""The catalog: what models.yaml says, checked and typed. Pure: text in, Catalog or problems out."""
