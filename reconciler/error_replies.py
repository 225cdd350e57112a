"""What the error replies of a node mean, for who reads the log of a Job (docs/reference/redis.md, "Error replies")."""

from __future__ import annotations

BUSY = "BUSY "
"""How the reply begins that a node gives while it runs a script or a function."""

LOADING = "the node is loading its data, and answers when it has it"

NOT_ADMITTED = ("NOAUTH", "NOPERM", "WRONGPASS")
"""Classes of the replies of a node that does not let somebody in, or not to this."""

NEXT_STEPS = {
    "MASTERDOWN": "It is a replica that has lost its master, and answers when one is back",
    "MISCONF": "It cannot write its volume. It should not have to: redis.conf says stop-writes-on-bgsave-error no, so "
    "somebody has changed that. Restart the pod",
    "NOPERM": "The user has not this right. A pod that was restarted has the rights of this version of the program: "
    "delete the pod if somebody has changed them by ACL SETUSER",
    "OOM": "It has no memory left for this. Give the pods more memory, or let keys go",
    "READONLY": "It is a replica by now. Nothing is to be done: the next look takes it for one",
}
"""Class of an error reply -> what it means for who reads the log, and what to do."""


def busy_reason(reply: Exception) -> str:
    """What a reply that begins with BUSY means, for people."""
    return (
        "it runs a script or a function and answers nobody else. Its pod ends one that does not end by itself "
        f"({reply})"
    )


def reply_text(error: Exception) -> str:
    """An error reply as the node gave it, with what to do. redis-py takes the word off that names its class."""
    word = getattr(error, "status_code", None) or ""
    text = str(error) if not word or str(error).startswith(word) else f"{word} {error}"
    step = NEXT_STEPS.get(text.partition(" ")[0])
    return f"{text.rstrip('.')}. {step}" if step else text
