"""Programs of this machine inside the pods' network: each has a pod's place in it, so policies hold for it too."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.host.network import PodNetwork
from sandbox.kubernetes.kubelet.worker import Kubelet
from sandbox.kubernetes.pods import Guest


class Guests:
    """Guests of one namespace with the same labels share a place. It is made at first use, and ends with the sandbox:
    a program of a moment must not wait for a network of its own."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet

    def at(self, namespace: str, labels: Mapping[str, str]) -> Guest:
        """Their place, with the policies for it in force. The namespace need not have been made."""
        known = self._kubelet.cluster.guests
        for guest in known:
            if (guest.namespace, guest.labels) == (namespace, labels):
                return guest
        network = PodNetwork.numbered(self._kubelet.addresses.take(f"{namespace}/guest"))
        network.create()
        guest = Guest(namespace, dict(labels), network)
        known.append(guest)
        self._kubelet.on_network_change()
        return guest
