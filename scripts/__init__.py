"""Plain scripts that make the shipped models; run each as ``python -m scripts.NAME``."""
