"""Reads a draft against a rubric and marks the weaknesses that the rubric is about."""

import os

__version__ = "0.1.0"

# Libraries that would report their use, or look for files elsewhere, read these when they are imported.
os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_OFFLINE="1")
