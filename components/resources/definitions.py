"""Wire: whether the cluster knows the kinds of objects that the config needs, asked of it before anything is made."""

from collections.abc import Sequence

import pulumi

from components.config.load import NAMESPACE
from components.manifests.custom_kinds import CustomKind
from components.resources.sdk import ReadDefinition


def read_definitions(
    name: str, kinds: Sequence[CustomKind], child: pulumi.ResourceOptions
) -> tuple[pulumi.Resource, ...]:
    """Reads the definition of each kind. Where one is missing, the preview fails and says what to do.

    The provider itself lets an unknown kind through in a preview, since the same update might define it. The update
    would end at the first such object, with the nodes made by then. What waits for these resources is not made.
    """
    return tuple(_read(name, kind, child) for kind in kinds)


def _read(name: str, kind: CustomKind, child: pulumi.ResourceOptions) -> pulumi.Resource:
    # The engine names the resource beside what it says, so the name says why it is asked for.
    why = "-".join(kind.setting.replace("=", " ").split())
    definition = ReadDefinition(f"{name}-{why}-needs-{kind.kind}", kind.definition, child)

    async def was_found() -> bool:
        try:
            await definition.urn.future()
        except Exception:
            # The SDK has no class for a read that the engine refused. The engine's own words are shown as they are and
            # end the run; this adds what to do.
            pulumi.log.error(missing(kind))
            return False
        return True

    # An output, because the program waits for those before it ends.
    pulumi.Output.all(was_found())
    return definition


def missing(kind: CustomKind) -> str:
    """What is said where the cluster lacks a kind, or cannot be asked."""
    return (
        f"{NAMESPACE}:{kind.setting}: the cluster does not show the kind {kind.kind} "
        f"(CustomResourceDefinition {kind.definition}); {kind.remedy}"
    )
