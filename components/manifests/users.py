"""The users of Redis: what each may do, and what pods and Jobs are given of them. Pure.

`app` is for applications. The others are the cluster's own: `replica` for the link to a master, `operator` for Jobs,
probes, the start and stop scripts and people, `metrics` for the exporter (docs/adr/0021-each-part-has-its-user.md).
"""

import hashlib
import hmac
import json
from collections.abc import Iterable

from components.config.choices import DefaultUser
from components.config.engines import MIGRATESLOTS
from components.config.settings import Access
from components.manifests import names

APP, REPLICA, OPERATOR, METRICS, DEFAULT = "app", "replica", "operator", "metrics", "default"

PASSWORD_KEY = "password"  # noqa: S105 (a name)
"""Key of the Secret for the password of `app`."""
USERS_CONF_KEY = "users.conf"
"""Directives of redis.conf that make the users. It has digests of their passwords, and the password of `replica`."""
OPERATOR_KEY = "operator"
METRICS_KEY = "metrics.json"
"""The exporter's file of passwords: address of a Redis, with the user -> password."""
CREDENTIALS_KEY = "credentials.json"
"""What Jobs try one after the other: the user and the password by which a node lets them in."""
FALLBACK_KEY = "fallback"
"""The password by which a pod asks another one that does not know `operator`'s. Only while a change needs it."""
EXPORTED_ADDRESSES = {
    False: f"redis://127.0.0.1:{names.REDIS_PORT}",
    True: f"rediss://127.0.0.1:{names.TLS_PORT}",
}
"""Whether it speaks TLS -> where the exporter finds the Redis of its own pod."""
MASTER_LINKS_KEY = "master-links"
"""Commands of redis-cli, one a line, each of which sets another way of a replica into its master. Only as above."""

_CACHE = (
    # What reads and writes values of every type. @dangerous has FLUSHALL, KEYS, SORT, RESTORE, MIGRATE and the like.
    "+@read",
    "+@write",
    "+@transaction",
    "+@connection",
    "-@dangerous",
    "-@admin",
    # FUNCTION FLUSH is @write, and not @dangerous.
    "-@scripting",
    "+time",
    # What cluster clients ask to find the nodes. Lettuce asks each for INFO, too.
    "+cluster|slots",
    "+cluster|shards",
    "+cluster|nodes",
    "+cluster|myid",
    "+cluster|info",
    "+cluster|keyslot",
    "+cluster|countkeysinslot",
    "+info",
)
_SEES_EVERY_KEY = ("-scan", "-randomkey", "-dbsize")
"""Commands that tell of keys whatever their names are: no pattern of keys holds them back."""
_SCRIPTS = (
    "+eval",
    "+evalsha",
    "+eval_ro",
    "+evalsha_ro",
    "+script|load",
    "+script|exists",
    "+fcall",
    "+fcall_ro",
    "+function|list",
    "+function|load",
)
_REPLICA = ("+psync", "+replconf", "+ping")
_MOVES_SLOTS = (
    # Servers that move slots themselves do so by CLUSTER SYNCSLOTS, as the user of the link to a master. A server that
    # does not know it would not start with a rule for it, so all others are taken away instead.
    "+cluster",
    *(
        f"-cluster|{word}"
        for word in (
            *("addslots", "addslotsrange", "bumpepoch", "count-failure-reports", "countkeysinslot", "delslots"),
            *("delslotsrange", "failover", "flushslots", "forget", "getkeysinslot", "help", "info", "keyslot", "links"),
            *("meet", "myid", "nodes", "replicas", "replicate", "reset", "saveconfig", "set-config-epoch", "setslot"),
            *("shards", "slaves", "slots"),
        )
    ),
)
_OPERATOR = (
    # To observe.
    *("+ping", "+echo", "+info", "+dbsize", "+time", "+role", "+command", "+client", "+memory", "+latency", "+slowlog"),
    *("+monitor", "+acl|log", "+acl|whoami", "+config|get"),
    # To form, repair and resize.
    *("+cluster", "+asking", "+multi", "+exec", "+discard", "+watch", "+unwatch", "+unlink", "+migrate", "+flushall"),
    # MIGRATE sends its target SELECT and RESTORE-ASKING.
    *("+select", "+restore", "+restore-asking", "+function"),
    # To fence, to make room, to end a script and to stop.
    *("+config|set", "+script|kill", "+shutdown"),
    # What redis-cli asks for --bigkeys and --memkeys.
    *(
        "+scan",
        "+type",
        "+strlen",
        "+llen",
        "+scard",
        "+zcard",
        "+hlen",
        "+xlen",
        "+ttl",
        "+pttl",
        "+exists",
        "+object",
    ),
)
_TAKES_SLOTS = (
    # A Valkey sends the keys of a slot to their new owner as ordinary commands, as that user.
    "~*",
    "&*",
    *("+@write", "-flushall", "-flushdb", "-swapdb", "-migrate", "+@transaction", "+select", "+publish", "+spublish"),
)
_METRICS = (
    *("+ping", "+info", "+dbsize", "+cluster|info", "+slowlog|get", "+slowlog|len"),
    *("+latency|latest", "+latency|histogram", "+client|setname"),
)


def service_password(service_secret: str, user: str, password: str) -> str:
    """The password of a user of the cluster's own: 64 hexadecimal digits.

    It follows from the password of `app`, so that one change changes them all, and from a secret that no application
    has, so that who knows `app`'s password does not know it.
    """
    return hmac.new(service_secret.encode(), f"{user}\0{password}".encode(), hashlib.sha256).hexdigest()


def app_rules(access: Access) -> tuple[str, ...]:
    """What applications may do, as rules of ACL SETUSER."""
    return (
        f"~{access.key_prefix}*",
        "-@all",
        *_CACHE,
        *(_SEES_EVERY_KEY if access.key_prefix else ()),
        *(_SCRIPTS if access.scripts else ()),
    )


def secret_values(
    access: Access, password: str, service_secret: str, *, native_move: str | None = None
) -> dict[str, str]:
    """Key -> value of the Secret that pods and Jobs read. `native_move` is the command by which the servers move slots
    themselves, if they do (ADR 27)."""
    accepted = [password]
    if access.also_accepted is not None:
        accepted.append(access.also_accepted.get_secret_value())

    def own(user: str) -> list[str]:
        return [service_password(service_secret, user, one) for one in accepted]

    replica, operator, metrics = own(REPLICA), own(OPERATOR), own(METRICS)
    # Ways into a node, the usual one first: its user, the password, and how a replica says who it is.
    ways = [(OPERATOR, operator[0], _master_link(REPLICA, replica[0]))]
    if len(accepted) > 1:
        ways.append((OPERATOR, operator[1], _master_link(REPLICA, replica[1])))
    if access.default_user is DefaultUser.EVERYTHING:
        ways.append((DEFAULT, password, _master_link("", password)))
    # While two are accepted there are nodes that know only the older one, and none that knows only the newer.
    link_user, link_password = _link(access, replica, password)
    lines = [
        _user(APP, accepted, app_rules(access)),
        _user(REPLICA, replica, ("-@all", *_REPLICA, *_moves(native_move))),
        _user(OPERATOR, operator, ("~*", "-@all", *_OPERATOR)),
        _user(METRICS, metrics, ("-@all", *_METRICS)),
        _default_user(access, accepted),
        f"masteruser {quoted(link_user)}",
        f"masterauth {quoted(link_password)}",
    ]
    values = {
        PASSWORD_KEY: password,
        USERS_CONF_KEY: "\n".join(lines) + "\n",
        OPERATOR_KEY: operator[0],
        METRICS_KEY: json.dumps({_with_user(address): metrics[0] for address in EXPORTED_ADDRESSES.values()}),
        CREDENTIALS_KEY: json.dumps([{"user": user, "password": secret} for user, secret, _ in ways]),
    }
    if has_fallback(access):
        values[FALLBACK_KEY] = ways[-1][1]
        values[MASTER_LINKS_KEY] = "".join(f"{link}\n" for _, _, link in ways)
    return values


def _with_user(address: str) -> str:
    """As the exporter looks for the password of an address that it asks as `metrics`."""
    return address.replace("://", f"://{METRICS}@")


def _moves(native_move: str | None) -> tuple[str, ...]:
    if native_move is None:
        return ()
    return (*_MOVES_SLOTS, *(_TAKES_SLOTS if native_move == MIGRATESLOTS else ()))


def secret_keys(access: Access) -> tuple[str, ...]:
    """The keys of that Secret."""
    fallback = (FALLBACK_KEY, MASTER_LINKS_KEY) if has_fallback(access) else ()
    return (PASSWORD_KEY, USERS_CONF_KEY, OPERATOR_KEY, METRICS_KEY, CREDENTIALS_KEY, *fallback)


def has_fallback(access: Access) -> bool:
    """Whether there may be nodes that know another password, or no user but the default one."""
    return access.also_accepted is not None or access.default_user is DefaultUser.EVERYTHING


def fallback_user(access: Access) -> str:
    """Whose password that is."""
    return DEFAULT if access.default_user is DefaultUser.EVERYTHING else OPERATOR


def _link(access: Access, replica: list[str], password: str) -> tuple[str, str]:
    return ("", password) if access.default_user is DefaultUser.EVERYTHING else (REPLICA, replica[-1])


def _default_user(access: Access, accepted: Iterable[str]) -> str:
    match access.default_user:
        case DefaultUser.EVERYTHING:
            return _user(DEFAULT, accepted, ("~*", "&*", "+@all"))
        case DefaultUser.APP:
            return _user(DEFAULT, accepted, app_rules(access))
    return f"user {DEFAULT} off"


def _user(name: str, passwords: Iterable[str], rules: Iterable[str]) -> str:
    digests = (f"#{hashlib.sha256(password.encode()).hexdigest()}" for password in passwords)
    return " ".join(("user", name, "on", *digests, "resetchannels", *rules))


def _master_link(user: str, password: str) -> str:
    return f"CONFIG SET masteruser {quoted(user)} masterauth {quoted(password)}"


def quoted(text: str) -> str:
    """A string of redis.conf, and of what redis-cli reads: every byte escaped that is no letter or digit."""
    escaped = (chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\x{byte:02x}" for byte in text.encode())
    return f'"{"".join(escaped)}"'
