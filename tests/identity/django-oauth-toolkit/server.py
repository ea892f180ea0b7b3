"""django-oauth-toolkit for the end to end tests: users, clients and tokens in a database in the working directory.

Everything in it is public; it is no place for real secrets.

  ACCESS_TOKEN_TTL  lifetime of access tokens in seconds (3600)

Standard output: see serving.py.
"""

import os

import django
from django.conf import settings
from jwcrypto.jwk import JWK
from serving import serve

APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "oauth2_provider"]
SIGNING_KEY = JWK.generate(kty="RSA", size=2048)
REDIRECT_URI = "http://127.0.0.1:9500/callback"

settings.configure(
    SECRET_KEY="a key for tests, which everybody knows",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    INSTALLED_APPS=APPS,
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "database.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    # Tables as they are now, without their history, which takes seconds.
    MIGRATION_MODULES={app.rpartition(".")[2]: None for app in APPS},
    # Client secrets are hashed like passwords: in earnest, an introspection would take a tenth of a second.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    OAUTH2_PROVIDER={
        "SCOPES": {scope: scope for scope in ("openid", "view", "book", "cancel", "introspection")},
        "ACCESS_TOKEN_EXPIRE_SECONDS": int(os.environ.get("ACCESS_TOKEN_TTL", 3600)),
        "ALLOWED_REDIRECT_URI_SCHEMES": ["http"],
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": SIGNING_KEY.export_to_pem(private_key=True, password=None).decode(),
    },
)
django.setup()

# What follows needs the settings.
from django.contrib.auth import authenticate, get_user_model, login
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.models import get_application_model

Application = get_application_model()


@csrf_exempt
def log_in(request):
    """The toolkit has no login page. This one has no form: who comes here knows the fields."""
    user = authenticate(request, username=request.POST.get("username"), password=request.POST.get("password"))
    if user is None:
        return HttpResponse(status=401)
    login(request, user)
    return HttpResponse(status=204)


urlpatterns = [path("login/", log_in), path("o/", include("oauth2_provider.urls"))]


def add_client(client_id, grant_type, **fields):
    fields = {"client_secret": f"{client_id}-secret", "client_type": Application.CLIENT_CONFIDENTIAL, **fields}
    Application.objects.create(client_id=client_id, name=client_id, authorization_grant_type=grant_type, **fields)


def create_application(url):
    call_command("migrate", run_syncdb=True, verbosity=0)
    for name in ("alice", "bob"):
        get_user_model().objects.create_user(name, password=f"{name}-pw")
    # A client has one grant (and refresh tokens).
    add_client("web", Application.GRANT_PASSWORD)
    add_client("traveller", Application.GRANT_CLIENT_CREDENTIALS)
    add_client(
        "spa",
        Application.GRANT_AUTHORIZATION_CODE,
        client_type=Application.CLIENT_PUBLIC,
        redirect_uris=REDIRECT_URI,
        algorithm=Application.RS256_ALGORITHM,
        skip_authorization=True,
    )
    # Its secret survives HTTP Basic only if both sides form-encode it first (RFC 6749, 2.3.1).
    add_client("gateway", Application.GRANT_CLIENT_CREDENTIALS, client_secret="gate+way 100%/=secret")
    return get_wsgi_application()


serve(create_application)
