"""Requests to model endpoints. The only package that imports httpx; a failed request is data, no exception."""
