"""What each user of Redis may do, as text: no server is started. On servers: `test_users_on_servers.py`."""

from __future__ import annotations

import hashlib
import json
import shlex
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from components.config.load import ConfigErrors, load_settings
from components.config.settings import Access
from components.config.value_types import PASSWORD_BYTES_MAX
from components.manifests import users

PASSWORDS = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_characters="\0"), st.sampled_from("\"'\\$`#>< \t\r\n;|&*?[]{}()!%~^")
    ),
    min_size=16,
    max_size=512,
).filter(lambda text: not text.endswith(("\n", "\r")))
"""Every password that the config takes, as far as characters go."""
SECRET = "a service secret that no application has"  # noqa: S105


def access(**given: Any) -> Access:
    return Access.model_validate(given)


def accepted_of(values: dict[str, str], user: str) -> set[str]:
    (line,) = [line for line in values[users.USERS_CONF_KEY].splitlines() if line.startswith(f"user {user} ")]
    return {word[1:] for word in line.split() if word.startswith("#")}


def digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def unquoted(text: str) -> str:
    """What Redis and redis-cli make of a quoted string of \\x.. and plain characters."""
    assert text[0] == text[-1] == '"'
    return text[1:-1].encode().decode("unicode_escape").encode("latin-1").decode()


@settings(max_examples=30)
@given(PASSWORDS)
def test_a_quoted_string_is_one_word_of_plain_characters_and_means_what_was_given(password: str) -> None:
    quoted = users.quoted(password)
    assert unquoted(quoted) == password
    assert quoted.isascii()
    assert not set(quoted[1:-1]) - set("\\abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


@settings(max_examples=30)
@given(PASSWORDS, PASSWORDS)
def test_every_user_has_a_password_of_its_own_for_each_that_is_accepted(password: str, other: str) -> None:
    values = users.secret_values(access(alsoAccepted=other), password, SECRET)
    assert accepted_of(values, users.APP) == {digest(password), digest(other)}
    seen = {password, other}
    for user in (users.REPLICA, users.OPERATOR, users.METRICS):
        own = {users.service_password(SECRET, user, one) for one in (password, other)}
        assert accepted_of(values, user) == {digest(one) for one in own}
        assert not own & seen
        seen |= own
    # It may look like a rule by chance.
    assume(password not in users.secret_values(access(), "another password", SECRET)[users.USERS_CONF_KEY])
    # The application's password stands under its own key, and in no file of a pod.
    assert [key for key, value in values.items() if password in value] == [users.PASSWORD_KEY]
    ways = json.loads(values[users.CREDENTIALS_KEY])
    assert ways == [
        {"user": users.OPERATOR, "password": users.service_password(SECRET, users.OPERATOR, one)}
        for one in (password, other)
    ]


@settings(max_examples=30)
@given(PASSWORDS)
def test_a_cluster_without_users_is_entered_as_the_user_default(password: str) -> None:
    values = users.secret_values(access(defaultUser="everything"), password, SECRET)
    assert json.loads(values[users.CREDENTIALS_KEY])[1] == {"user": users.DEFAULT, "password": password}
    link = shlex.split(values[users.MASTER_LINKS_KEY].splitlines()[1].replace("\\", "\\\\"))
    assert link[:4] == ["CONFIG", "SET", "masteruser", ""]
    assert unquoted(f'"{link[5]}"') == password
    assert accepted_of(values, users.DEFAULT) == {digest(password)}


def test_without_the_service_secret_an_application_does_not_know_the_others_passwords() -> None:
    password = "known to an application"  # noqa: S105
    others = {users.service_password(secret, users.OPERATOR, password) for secret in ("one", "two", "")}
    assert len(others) == 3


@pytest.mark.parametrize(
    ("given_access", "reason"),
    [
        ({"password": "ä" * (PASSWORD_BYTES_MAX // 2 + 1)}, "at most 4096 bytes"),
        ({"password": "half a pair \ud800 of surrogates"}, "half of a surrogate pair"),
        ({"keyPrefix": "a*"}, "keyPrefix"),
        ({"keyPrefix": "a ~*"}, "keyPrefix"),
        ({"keyPrefix": "a\nuser x on"}, "keyPrefix"),
        ({"scripts": "yes"}, "scripts"),
        ({"defaultUser": "everything", "alsoAccepted": "battery-staple-horse"}, "pods can be in one change at a time"),
    ],
    ids=["too long", "no text", "a star", "a second pattern", "a second line", "no reason", "two changes"],
)
def test_what_redis_could_not_take_or_would_take_otherwise_is_refused(
    given_access: dict[str, str], reason: str
) -> None:
    with pytest.raises(ConfigErrors) as refused:
        load_settings({"kubeContext": "kind", "access": json.dumps(given_access)})
    assert reason in str(refused.value)
