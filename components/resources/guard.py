"""Wire: nothing that may still hold slots is deleted by an update whose earlier steps failed."""

import pulumi


class DeletionGuard:
    """Refuses to delete anything of a pool until the client Service points to the pool that the program describes.

    An update deletes last, and Pulumi does not begin a step that depends on a failed one. But a delete depends on
    nothing: with `--continue-on-error` a *form* that failed let the old pool go, its keys with it, and what was left of
    the state could not be read any more (docs/reference/engine.md). So every resource of a pool and of its node groups
    asks here before it goes. What else depends on a resource that may not go, stays too.

    `pulumi destroy` needs `--run-program` because of this: without the program nobody could be asked, and the engine
    says so before it deletes anything.
    """

    hooks: pulumi.ResourceHookBinding
    """Of every resource to guard."""

    def __init__(self, name: str) -> None:
        self._clients_are_served = False
        # Resources that are gone from the program are found by the name of their hook alone, so it never changes.
        hook = pulumi.ResourceHook(f"{name}-keep-what-serves", self._refuse)
        self.hooks = pulumi.ResourceHookBinding(before_delete=[hook])

    def lift_after(self, client_service: pulumi.CustomResource) -> None:
        """Lets go once this update has made the client Service what it is to be, or found that it is."""
        client_service.id.apply(self._lift)

    def _lift(self, service_id: str) -> str:
        self._clients_are_served = not pulumi.runtime.is_dry_run()
        return service_id

    def _refuse(self, args: pulumi.ResourceHookArgs) -> None:
        if not self._clients_are_served:
            raise RuntimeError(
                f"{args.name} is kept: a step of this update failed before clients were sent to the pool that the "
                "config describes, so this one may still hold slots. Mend what failed and run `pulumi up` again"
            )
