"""The only settings file: everything that differs between a clone and a deployment is read here.

Names the apps by strings only. `config/env.example` lists every variable; a test compares the two.
"""

import ipaddress
import os
from pathlib import Path
from urllib.parse import urlsplit

import environ
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from django.utils.translation import gettext_lazy as _

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent

# ── Which environment ───────────────────────────────────────────────────────────────────────────
# DEBUG is on by default and then we listen on loopback only: a deployment that forgets it serves
# nobody. With DEBUG=0 nothing starts until every variable marked required is present.
DEBUG = env.bool("DEBUG", default=True)

REQUIRED_OUTSIDE_DEBUG = (
    "SECRET_KEY",
    "ALLOWED_HOSTS",
    "PUBLIC_BASE_URL",
    "DATABASE_URL",
    "CACHE_URL",
    "CELERY_BROKER_URL",
    "S3_BUCKET",
    "MODELSLAB_API_KEY",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "EMAIL_URL",
    "DEFAULT_FROM_EMAIL",
)
missing = [name for name in REQUIRED_OUTSIDE_DEBUG if not env.str(name, default="")]
if not DEBUG and missing:
    raise ImproperlyConfigured(
        f"DEBUG is off and these variables are missing: {', '.join(missing)}. "
        "config/env.example explains each one."
    )

# Everything the machine makes: database, files, mail, keys, locks. Ignored by git.
LOCAL_DIR = Path(env.str("LOCAL_DIR", default=str(BASE_DIR / ".local")))


def loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def local_secret_key() -> str:
    """A clone makes its key once and keeps it, so that sessions survive a restart."""
    path = LOCAL_DIR / "secret_key"
    LOCAL_DIR.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x") as new_file:
            os.fchmod(new_file.fileno(), 0o600)
            new_file.write(get_random_secret_key())
    except FileExistsError:
        pass
    return path.read_text()


def remembered_port() -> int:
    """The port of the last `up`, because stored result addresses name it."""
    path = LOCAL_DIR / "port"
    return int(path.read_text()) if path.exists() else 8000


# ── Address ─────────────────────────────────────────────────────────────────────────────────────
# `up` sets the port; the stand-ins take the next two (see config/embedded.py).
SITE_PORT = env.int("SITE_PORT", default=remembered_port())
SITE_URL = env.str("PUBLIC_BASE_URL", default="") or f"http://127.0.0.1:{SITE_PORT}"
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
if not DEBUG and "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured(
        "ALLOWED_HOSTS names hosts: letters would link to whatever is asked."
    )
CSRF_TRUSTED_ORIGINS = [] if DEBUG else [SITE_URL.rstrip("/")]
PROXY_COUNT = env.int("PROXY_COUNT", default=0)

SECRET_KEY = env.str("SECRET_KEY", default="") or local_secret_key()
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])

# ── The provider ────────────────────────────────────────────────────────────────────────────────
MODELSLAB_API_KEY = env.str("MODELSLAB_API_KEY", default="")
FACE_GEN_STANDIN_PORT = SITE_PORT + 1
FACE_GEN_URL = env.str(
    "FACE_GEN_URL",
    default="https://modelslab.com/api/"
    if MODELSLAB_API_KEY
    else f"http://127.0.0.1:{FACE_GEN_STANDIN_PORT}/api/",
)
FACE_GEN_URL = FACE_GEN_URL.rstrip("/") + "/"
FACE_GEN_STANDIN = loopback(FACE_GEN_URL)
if FACE_GEN_STANDIN and not MODELSLAB_API_KEY:
    MODELSLAB_API_KEY = "local-demo"
# Places the provider's account has at once: 5, 10 or 15 by plan (docs: rate limits, May 2026).
FACE_GEN_SLOTS = env.int("FACE_GEN_SLOTS", default=5)
if not 1 <= FACE_GEN_SLOTS <= 64:
    raise ImproperlyConfigured(f"FACE_GEN_SLOTS is {FACE_GEN_SLOTS}; it is 1 to 64.")
# What one picture costs there, in the account's own currency; for the staff's figures alone.
FACE_GEN_PRICE = env.float("FACE_GEN_PRICE", default=0.0)
# Exact host names, never a suffix: anybody may open a bucket beside the provider's.
FACE_GEN_RESULT_HOSTS = env.list(
    "FACE_GEN_RESULT_HOSTS",
    default=[urlsplit(FACE_GEN_URL).netloc]
    if FACE_GEN_STANDIN
    else [
        "pub-3626123a908346a7a8be8d9295f44e26.r2.dev",
        "pub-8b49af329fae499aa563997f5d4068a4.r2.dev",
        "cdn.modelslab.com",
        "cdn2.modelslab.com",
        "assets.modelslab.com",
        "assets.modelslab.ai",
        "cdn2.stablediffusionapi.com",
    ],
)
# Where the provider can reach us. Empty means base64 mode: the face travels inside the order and
# results are polled. A loopback address is of use to the stand-in alone.
PUBLIC_BASE_URL = env.str("PUBLIC_BASE_URL", default="")
if FACE_GEN_STANDIN and not PUBLIC_BASE_URL:
    PUBLIC_BASE_URL = f"http://127.0.0.1:{SITE_PORT}"
elif not FACE_GEN_STANDIN and PUBLIC_BASE_URL and loopback(PUBLIC_BASE_URL):
    PUBLIC_BASE_URL = ""

# ── Payments ────────────────────────────────────────────────────────────────────────────────────
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")
STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", default="")
STRIPE_API_URL = env.str("STRIPE_API_URL", default="")
STRIPE_STANDIN_PORT = SITE_PORT + 2
if not STRIPE_SECRET_KEY:
    STRIPE_API_URL = STRIPE_API_URL or f"http://127.0.0.1:{STRIPE_STANDIN_PORT}"
    STRIPE_SECRET_KEY = "sk_test_standin"  # noqa: S105 - the stand-in's own play key
    STRIPE_WEBHOOK_SECRET = "whsec_standin"  # noqa: S105 - likewise
# Both need work in Stripe's Dashboard first: codes to be made, a tax registration.
STRIPE_PROMOTION_CODES = env.bool("STRIPE_PROMOTION_CODES", default=False)
STRIPE_AUTOMATIC_TAX = env.bool("STRIPE_AUTOMATIC_TAX", default=False)
STRIPE_STANDIN = bool(STRIPE_API_URL) and loopback(STRIPE_API_URL)

STYLEGUIDE_OPEN = DEBUG
# Said across every staff page; empty in production, where nothing needs to be said.
ENVIRONMENT = env.str("ENVIRONMENT", default="local demo" if DEBUG else "")
DEMO_ALLOWED = DEBUG
STAND_IN = FACE_GEN_STANDIN or STRIPE_STANDIN
if STAND_IN and not DEBUG:
    raise ImproperlyConfigured("Stand-ins run only with DEBUG on: unset the loopback addresses.")
if FACE_GEN_STANDIN and "_live_" in STRIPE_SECRET_KEY:
    raise ImproperlyConfigured("A live Stripe key beside a stand-in provider would sell drawings.")

# ── Promises, limits and prices shown to people ─────────────────────────────────────────────────
WELCOME_CREDITS = env.int("WELCOME_CREDITS", default=3)
REVIEW_HOURS = env.int("REVIEW_HOURS", default=24)

# ── Apps ────────────────────────────────────────────────────────────────────────────────────────
INSTALLED_APPS = [
    "config",
    "accounts",
    "avatars",
    "django.contrib.admin",
    "django.forms",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.usersessions",
    "csp",
    "django_htmx",
]

# The order carries meaning: numbers first, so that every answer has one; cookies are cleaned before
# sessions read them; what cannot be read is refused after messages, so that its page can be drawn,
# and before the first process_view (CSRF), which reads the form.
MIDDLEWARE = [
    "config.middleware.numbered",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.middleware.private_by_default",
    "config.middleware.local_time",
    "config.middleware.clean_cookies",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "config.middleware.CommonWithSlash",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "config.middleware.readable_only",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.second_factor.staff_door",
    "django_htmx.middleware.HtmxMiddleware",
    "config.middleware.OnlyKeep",
    "config.middleware.NotFoundPage",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context.site",
            ],
        },
    },
]
FORM_RENDERER = "config.forms.SiteRenderer"

# ── Database ────────────────────────────────────────────────────────────────────────────────────
DATABASES = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{LOCAL_DIR / 'likeness.sqlite3'}")
}
database = DATABASES["default"]
if database["ENGINE"] == "django.db.backends.sqlite3":
    LOCAL_DIR.mkdir(parents=True, exist_ok=True)
    database["OPTIONS"] = {
        # A deferred transaction that turns into a writer fails at once when another writes;
        # one that begins as a writer waits its turn (648 of 720 lost against none, measured).
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # FULL: a write-ahead Attempt must survive a power cut.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    database["CONN_MAX_AGE"] = 60
    database["CONN_HEALTH_CHECKS"] = True
    database["OPTIONS"] = {
        **database.get("OPTIONS", {}),
        "options": "-c lock_timeout=3s -c statement_timeout=15s"
        " -c idle_in_transaction_session_timeout=10s",
    }

CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://likeness")}
if not DEBUG and CACHES["default"]["BACKEND"] != "django.core.cache.backends.redis.RedisCache":
    raise ImproperlyConfigured(
        "CACHE_URL must be redis://…: what one process counts, the others must know."
    )
if CACHES["default"]["BACKEND"].endswith(".RedisCache"):
    # A cache that hangs costs a request so long; by itself it would wait for ever.
    CACHES["default"]["OPTIONS"] = {"socket_connect_timeout": 0.5, "socket_timeout": 1}

# ── Celery: a doorbell, never the truth (engine.md §12) ─────────────────────────────────────────
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="memory://localhost/")
EMBEDDED = CELERY_BROKER_URL.startswith("memory://")
if EMBEDDED and not DEBUG:
    raise ImproperlyConfigured("memory:// reaches one process only: set CELERY_BROKER_URL.")
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"polling_interval": 0.02}
    if EMBEDDED
    else {
        "max_retries": 0,
        "socket_connect_timeout": 0.3,
        "visibility_timeout": 600,
        # A broker that hangs costs a request so long; a worker's own wait must be shorter.
        "socket_timeout": 0.9,
        "polling_interval": 0.5,
    }
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker outlives any outage of its broker
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_PUBLISH_RETRY = False
# Beyond every step's own deadline and below its lease; threads have none (engine.md §12).
CELERY_TASK_SOFT_TIME_LIMIT = 130
CELERY_TASK_TIME_LIMIT = 140
STORE_TIME_LIMITS = {"soft_time_limit": 95, "time_limit": 110}
# A store worker is recycled before pixels can make it grow.
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 400_000  # KB
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "look"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 0 if EMBEDDED else 20
CELERY_TIMEZONE = "UTC"
SWEEP_SECONDS = 2
# Sweeps, letters and saving go on while every slot waits.
ENGINE_THREADS = FACE_GEN_SLOTS + 3
CELERY_BEAT_SCHEDULE = {
    # A tick older than its interval is of no use: the next one does the same work.
    "note_account": {
        "task": "avatars.tasks.note_account",
        "schedule": 300,
        "options": {"expires": 300},
    },
    "sweep": {
        "task": "avatars.tasks.sweep",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS},
    },
    "erase_due": {
        "task": "avatars.tasks.erase_due",
        "schedule": 60,
        "options": {"expires": 60},
    },
    # The steps of a closing belong to two rooms, which take turns.
    "go_on_closing": {
        "task": "accounts.tasks.go_on_closing",
        "schedule": 15,
        "options": {"expires": 15},
    },
    "leave": {
        "task": "avatars.tasks.leave",
        "schedule": 15,
        "options": {"expires": 15},
    },
    "make_exports": {
        "task": "avatars.tasks.make_exports",
        "schedule": 5,
        "options": {"expires": 5},
    },
    "look_after_takedowns": {
        "task": "avatars.tasks.look_after_takedowns",
        "schedule": 30,
        "options": {"expires": 30},
    },
    "top_up": {
        "task": "accounts.tasks.top_up",
        "schedule": crontab(hour="*/6", minute=0),
        "options": {"expires": 3600},
    },
    "look_at_open": {
        "task": "accounts.tasks.look_at_open",
        "schedule": crontab(minute="*/10"),
        "options": {"expires": 600},
    },
    "send_purchase_letters": {
        "task": "accounts.tasks.send_letters",
        "schedule": 60,
        "options": {"expires": 60},
    },
    "reconcile_stripe": {
        "task": "accounts.tasks.reconcile_stripe",
        "schedule": crontab(hour=2, minute=40),
        "options": {"expires": 3600},
    },
    "reconcile": {
        "task": "avatars.tasks.reconcile",
        "schedule": crontab(hour=2, minute=50),
        "options": {"expires": 3600},
    },
    "forget_devices": {
        "task": "accounts.tasks.forget_devices",
        "schedule": crontab(hour=3, minute=20),
        "options": {"expires": 3600},
    },
    "check_requests": {
        "task": "avatars.tasks.check_books",
        "schedule": crontab(hour=3, minute=0),
        "options": {"expires": 3600},
    },
    "check_wallets": {
        "task": "accounts.tasks.check_books",
        "schedule": crontab(hour=3, minute=10),
        "options": {"expires": 3600},
    },
}
CELERY_BEAT_SCHEDULE_FILENAME = str(LOCAL_DIR / "beat")

# ── Files ───────────────────────────────────────────────────────────────────────────────────────
# Links to private files live one to two hours and stay equal within the hour, so that a browser's
# cache works (engine.md §6).
MEDIA_LINK_SECONDS = 3600
S3_BUCKET = env.str("S3_BUCKET", default="")
S3_ENDPOINT_URL = env.str("S3_ENDPOINT_URL", default="").rstrip("/")
S3_REGION = env.str("S3_REGION", default="") or "us-east-1"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "private": (
        {
            "BACKEND": "avatars.storage.PrivateS3Storage",
            "OPTIONS": {
                "bucket_name": S3_BUCKET,
                "endpoint_url": S3_ENDPOINT_URL or None,
                "region_name": S3_REGION,
                "default_acl": None,
                "querystring_auth": True,
                "querystring_expire": 2 * MEDIA_LINK_SECONDS,
                "file_overwrite": True,  # keys are random; asking first would cost a call
            },
        }
        if S3_BUCKET
        else {
            "BACKEND": "avatars.storage.PrivateFileStorage",
            "OPTIONS": {"location": str(LOCAL_DIR / "media")},
        }
    ),
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
STATIC_URL = "/static/"
STATIC_ROOT = LOCAL_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEBUG
# Ten megabytes of photo and its form; the photo form refuses more with a sentence of its own.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
FILE_UPLOAD_PERMISSIONS = 0o600

# ── People ──────────────────────────────────────────────────────────────────────────────────────
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.WalletBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "create"
LOGOUT_REDIRECT_URL = "landing"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

CODE_LENGTH = 6
ALLAUTH_USER_CODE_FORMAT = {"numeric": True, "length": CODE_LENGTH, "dashed": False}
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "accounts.adapter.SocialAccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
# Offered for new addresses only, it would tell a stranger who has an account.
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_CHANGE = False
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND = True
ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http" if DEBUG else "https"
ACCOUNT_SIGNUP_FORM_HONEYPOT_FIELD = "website"
# A number and a time for an address (ip), a person (user) or whoever is meant (key: the address
# typed). A code of six digits has three tries: nine guesses in five minutes at one account.
SIGN_IN_MINUTES = 5
ACCOUNT_RATE_LIMITS = {
    action: ",".join(f"{number}/{SIGN_IN_MINUTES}m/{whose}" for whose, number in numbers.items())
    for action, numbers in {
        "signup": {"ip": 20},
        "login": {"ip": 60},
        "login_failed": {"ip": 20, "key": 5},
        "request_login_code": {"ip": 20, "key": 3},
        "reset_password": {"ip": 20, "key": 3},
        "reset_password_from_key": {"ip": 20},
        "reauthenticate": {"user": 10},
        "change_password": {"user": 5},
        "manage_email": {"user": 10},
    }.items()
}
MFA_RATE_LIMITS = {"webauthn_login": f"20/{SIGN_IN_MINUTES}m/ip"}
# Passkeys, authenticator apps and recovery codes: offered to everybody, asked of staff.
MFA_ADAPTER = "accounts.second_factor.Adapter"
MFA_SUPPORTED_TYPES = ["webauthn", "totp", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Likeness"
MFA_TOTP_TOLERANCE = 1  # half a minute that a phone's clock may be off
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEBUG  # a clone speaks plain HTTP on loopback
STAFF_SECOND_FACTOR = env.bool("STAFF_SECOND_FACTOR", default=True)
if not STAFF_SECOND_FACTOR and not DEBUG:
    raise ImproperlyConfigured("STAFF_SECOND_FACTOR may be off on a clone only (DEBUG=1).")
STAFF_SIGN_IN_HOURS = 8
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_QUERY_EMAIL = True
SOCIALACCOUNT_PROVIDERS: dict[str, dict] = {}
SIGN_IN_HOSTS = []
for provider, hosts in (
    ("google", ["https://accounts.google.com"]),
    ("github", ["https://github.com"]),
):
    client_id = env.str(f"{provider.upper()}_CLIENT_ID", default="")
    if client_id:
        INSTALLED_APPS.append(f"allauth.socialaccount.providers.{provider}")
        SIGN_IN_HOSTS += hosts
        SOCIALACCOUNT_PROVIDERS[provider] = {
            "APPS": [
                {
                    "client_id": client_id,
                    "secret": env.str(f"{provider.upper()}_CLIENT_SECRET"),
                }
            ],
            "VERIFIED_EMAIL": provider == "google",
        }
SOCIAL_LOGIN = tuple(SOCIALACCOUNT_PROVIDERS)

DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Likeness <hello@likeness.localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
ADMINS = [("Staff", address) for address in env.list("STAFF_EMAILS", default=[])]
# A clone's mail is printed, kept in .local/mail and shown at /dev/mail/.
LOCAL_MAILBOX = DEBUG and not env.str("EMAIL_URL", default="")
if LOCAL_MAILBOX:
    EMAIL_BACKEND = "config.mailbox.Mailbox"
else:
    vars().update(env.email_url("EMAIL_URL"))
EMAIL_TIMEOUT = 10

# ── Words ───────────────────────────────────────────────────────────────────────────────────────
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
FORMAT_MODULE_PATH = ["config.formats"]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# ── Security headers ────────────────────────────────────────────────────────────────────────────
# Where signed links lead (avatars/storage.py): another service by path, AWS by the bucket's host.
MEDIA_ORIGINS = []
if S3_BUCKET:
    MEDIA_ORIGINS = [
        f"{S3_ENDPOINT_URL}/{S3_BUCKET}/"
        if S3_ENDPOINT_URL
        else f"https://{S3_BUCKET}.s3.{S3_REGION}.amazonaws.com"
    ]
CHECKOUT_HOSTS = (
    ["https://checkout.stripe.com"] if not STRIPE_STANDIN else [STRIPE_API_URL.rstrip("/")]
)
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:", *MEDIA_ORIGINS],
        "font-src": [SELF],
        "connect-src": [SELF],
        # Also what a POST redirects to (CSP3 §6.4.1): Checkout and the sign-in providers.
        "form-action": [SELF, *CHECKOUT_HOSTS, *SIGN_IN_HOSTS],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "config.urls.form_expired"
if not DEBUG:
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PROXY_COUNT else None
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
ALLAUTH_TRUSTED_PROXY_COUNT = PROXY_COUNT

# ── Logs: one line an event; addresses, keys and words of people never reach them ───────────────
LOG_FORMAT = env.str("LOG_FORMAT", default="console" if DEBUG else "json")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "console": {"()": "config.logs.ConsoleFormatter"},
        "json": {"()": "config.logs.JsonFormatter"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT},
        "staff": {
            "class": "config.logs.StaffMail",
            "formatter": LOG_FORMAT,
            "level": "ERROR",
            "filters": ["outside_debug"],
            "reporter_class": "config.logs.MaskedReporter",
        },
    },
    "filters": {"outside_debug": {"()": "django.utils.log.RequireDebugFalse"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="WARNING")},
    "loggers": {
        "likeness": {"level": env.str("LOG_LEVEL", default="INFO")},
        "likeness.staff": {"handlers": ["staff"], "level": "WARNING"},
        # Named, so that Django's own handlers are gone: they mail whole requests to staff.
        "django": {"level": "INFO"},
        "django.request": {"handlers": ["staff"], "level": "ERROR"},
        # Development output of these holds whole addresses and SQL with personal data.
        "django.db.backends": {"level": "INFO"},
        "celery": {"level": "WARNING"},
        "urllib3": {"level": "ERROR"},  # at WARNING it names whole addresses
        "botocore": {"level": "WARNING"},
        "PIL": {"level": "INFO"},
        "stripe": {"level": "WARNING"},  # below, it names what is sent: addresses of people
    },
}
