"""The flip gallery: items whose answer a condition changed, with what was asked and shown."""
