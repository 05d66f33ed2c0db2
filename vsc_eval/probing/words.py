"""What the names of a probe's controls and poolings are called in tables and figures."""

from __future__ import annotations

CONTROL_WORDS = {
    "real": "picture and text",
    "blank_image": "grey picture",
    "text_only": "text alone",
    "random_labels": "random labels",
}
POOLING_WORDS = {"last": "last token", "image": "image tokens (mean)", "text": "text tokens (mean)"}
