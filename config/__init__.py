"""The composition root. Exposes the Celery application, so that tasks are bound to it."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
