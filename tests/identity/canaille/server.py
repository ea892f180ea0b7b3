"""Canaille for the end to end tests: users, clients and tokens kept in memory.

Everything in it is public; it is no place for real secrets.

  ACCESS_TOKEN_TTL  lifetime of access tokens in seconds (3600)

Standard output: see serving.py.
"""

import os
from urllib.parse import urlsplit

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from serving import serve

REDIRECT_URI = "http://127.0.0.1:9500/callback"
GRANTS = ("authorization_code", "client_credentials", "password", "refresh_token")


def configuration(url):
    lifetime = int(os.environ.get("ACCESS_TOKEN_TTL", 3600))
    key = RSAKey.generate_key(2048, {"alg": "RS256", "use": "sig"}, auto_kid=True)
    return {
        "SECRET_KEY": "a key for tests, which everybody knows",
        "SERVER_NAME": urlsplit(url).netloc,
        "PREFERRED_URL_SCHEME": "http",
        "SESSION_COOKIE_SECURE": False,
        "OAUTH2_TOKEN_EXPIRES_IN": {grant: lifetime for grant in GRANTS},
        "CANAILLE": {"DATABASE": "memory"},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)]},
    }


def add_client(client_id, audience=(), **fields):
    fields = {
        "client_name": client_id,
        "client_secret": f"{client_id}-secret",
        "token_endpoint_auth_method": "client_secret_basic",
        # Of a trusted domain: the user is not asked to approve anything.
        "client_uri": "http://127.0.0.1/",
        "scope": ["openid", "view", "book", "cancel"],
        **fields,
    }
    client = models.Client(client_id=client_id, audience=list(audience), **fields)
    Backend.instance.save(client)
    return client


def add_users_and_clients():
    for name in ("alice", "bob"):
        user = models.User(user_name=name, formatted_name=name.title(), family_name=name)
        Backend.instance.save(user)
        Backend.instance.set_user_password(user, f"{name}-pw")
    # A client may introspect the tokens of which it is an audience.
    gateway = add_client("gateway")
    odd_gateway = add_client("odd-gateway", client_secret="gate+way 100%/=secret")
    add_client("web", [gateway], grant_types=["password", "refresh_token"])
    add_client("traveller", [gateway, odd_gateway], grant_types=["client_credentials"])
    add_client(
        "spa",
        [gateway],
        token_endpoint_auth_method="none",
        client_secret=None,
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        redirect_uris=[REDIRECT_URI],
    )


def create_application(url):
    application = create_app(config=configuration(url))
    with application.app_context(), Backend.instance.session():
        add_users_and_clients()
    return application


serve(create_application)
