"""Container engines: docker (Podman too), local, and the verbs that they share."""
