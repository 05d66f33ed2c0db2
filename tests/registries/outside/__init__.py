"""What another package adds: one of everything that vsc_eval keeps a registry of. Its entry points are in parts.py."""
