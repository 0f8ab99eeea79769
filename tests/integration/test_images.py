"""Which image a system runs in, and what is said before a run that would lack programs there."""

import io
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deploy_world import World, text
from sites import Kind, Site

from containerdeploy import images, programs
from containerdeploy.engine.choose import open_engine

API = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("docker", "podman")]
TAR = {"type": "tar", "location": "s.tar"}
# Nothing but Python 2 runs this.
OLD = """\
#!/usr/bin/python
import os, sys
import jinja2, markupsafe, yaml
versions = [yaml.__version__, jinja2.__version__, markupsafe.__version__]
print 'Python', sys.version.split()[0], versions
values = yaml.safe_load(os.environ['VALUES'])
with open(os.path.join(sys.argv[1], 'etc', 'greeting'), 'w') as f:
    f.write(jinja2.Template('{{ who }} has {{ n|int + 1 }}').render(**values))
"""


@pytest.fixture(scope="module", params=API)
def api_site(request: pytest.FixtureRequest, open_site: Callable[[Kind], Site]) -> Site:
    return open_site(request.param)


@pytest.fixture
def world(api_site: Site, tmp_path: Path, sample_root: Path) -> World:
    return World(api_site, tmp_path, sample_root)


@pytest.fixture
def derived(api_site: Site) -> Iterator[str]:
    """An image made of the helper image by somebody who added a program to it."""
    import docker

    client = docker.DockerClient(base_url=api_site.engine, timeout=120)
    tag = f"containerdeploy-test-{uuid.uuid4().hex[:8]}:latest"
    lines = f"FROM {images.HELPER}\nRUN ln -s /bin/sh /usr/bin/newsh\n"
    client.images.build(fileobj=io.BytesIO(lines.encode()), tag=tag, rm=True)
    yield tag
    client.images.remove(tag, force=True)
    client.close()


def old(world: World) -> None:
    world.extension("old.configure", OLD)
    world.system("s", {"one": {**TAR, "VALUES": "{who: she, n: 41}"}}, "old")


def test_python_2_with_its_modules_runs_in_the_legacy_image(world: World) -> None:
    old(world)
    world.cluster(image="legacy")
    ended = world.deploy()
    assert ended.code == 0, ended
    assert "Python 2.7.18 ['5.4.1', '2.11.3', '1.1.1']" in ended.log()
    assert text(world.out / "s.tar", "etc/greeting") == "she has 42"


def test_the_helper_image_is_refused_for_python_2_before_anything_is_started(world: World) -> None:
    old(world)
    ended = world.deploy()
    assert ended.code == 2
    assert "extensions/old.configure needs /usr/bin/python: not in" in ended.err
    assert "the image legacy has it\n  try: use --image legacy" in ended.err
    assert not ended.happenings
    assert not (world.out / "s.tar").exists()


def test_a_program_that_turns_out_to_be_missing_is_named_with_who_has_it(world: World) -> None:
    world.extension("image.configure", '#!/bin/sh\nmkimage -V >"$1/etc/made-with"\n')
    world.system("s", {"one": TAR}, "image")
    ended = world.deploy()
    assert ended.code == 1
    assert "the program mkimage is not in the helper image; the image legacy has it" in ended.out
    assert world.deploy("--image", "legacy").code == 0
    assert "mkimage version" in text(world.out / "s.tar", "etc/made-with")


def test_an_image_on_top_of_ours_is_asked_what_it_has_once(
    world: World, api_site: Site, derived: str
) -> None:
    world.extension("new.configure", "#!/usr/bin/newsh\ntrue\n", sidecar={"tools": ["newsh"]})
    world.system("s", {"one": TAR}, "new")
    assert world.deploy().code == 2
    assert world.deploy("--image", derived).code == 0
    [answer] = (api_site.home / "programs").iterdir()
    answer.write_text("/usr/bin env\n")  # were it asked again, this would not be believed
    assert "not in " + derived in world.deploy("--image", derived).err


def test_what_legacy_is_said_to_have_more_than_helper_is_true(api_site: Site) -> None:
    engine = open_engine(api_site.engine, Path("/nonexistent")).engine
    offers = [
        programs.Programs(engine.image(name).labels[programs.LABEL].partition("\n")[2])
        for name in (images.HELPER, images.LEGACY)
    ]
    engine.close()
    has = {name: [offer.has(name) for offer in offers] for name in images.ONLY_LEGACY}
    assert {name: both for name, both in has.items() if both != [False, True]} == {}


@pytest.mark.local
def test_a_host_without_python_2_says_so_before_anything_is_started(
    open_site: Callable[[Kind], Site], tmp_path: Path, sample_root: Path
) -> None:
    if Path("/usr/bin/python").exists():
        pytest.skip("this host has /usr/bin/python")
    world = World(open_site("local"), tmp_path, sample_root)
    old(world)
    world.cluster(image="legacy")
    ended = world.deploy()
    assert ended.code == 2
    assert "needs /usr/bin/python: not on this host, whose tools the local engine uses" in ended.err
    assert "use docker and --image legacy" in ended.err


def test_looking_for_programs_costs_no_more_than_milliseconds() -> None:
    listed = programs.as_text(f"/usr/bin/program{number}" for number in range(2000))
    start = time.perf_counter()
    assert programs.Programs(listed).has("program1999")
    assert time.perf_counter() - start < 0.05
