"""What the image `wtsctl-sandbox/llamacpp` is made of; `server.py` runs in it, not in wtsctl."""
