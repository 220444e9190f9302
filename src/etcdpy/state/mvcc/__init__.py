"""The multi-version key-value store."""
