"""A helper that was made and never started, as after a lost answer."""

from sites import Site


def orphan(site: Site, owner: str) -> str:
    """Leave one on the site's engine, with its owner's label; return its name."""
    name = f"containerdeploy-{site.mark}-orphan"
    labels = {"containerdeploy": "helper", "containerdeploy.owner": owner}
    with site.client() as client:
        client.create_container(
            "containerdeploy-helper:latest",
            ["true"],
            name=name,
            labels=labels,
            volumes=["/store"],
            host_config=client.create_host_config(binds=[f"{site.store_name}:/store"]),
        )
    return name
