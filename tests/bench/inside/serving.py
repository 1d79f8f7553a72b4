"""The site with the empty views beside it, for a real server: gunicorn is given this module.

Knows Django alone.
"""

from django.conf import settings
from django.core.wsgi import get_wsgi_application

# A deployment has DEBUG off; here it is on only because the world is a clone.
settings.DEBUG = False
settings.ROOT_URLCONF = "tests.bench.inside.addresses"
application = get_wsgi_application()
