"""image: the container image, built and run on a machine without Docker, registry or systemd.

The base image is made of Debian packages under the very name that the Dockerfile's FROM asks for: from this machine's
own package sources, with their release's name replaced by that of the base (else a 13 could not be built on a 12).
buildah builds in a chroot, podman runs with runc. Images stay in the cache folder, so that a second build takes only
what changed.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("PENSTOCK_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "penstock")
HOOKS = "/usr/share/mmdebstrap/hooks/maybe-merged-usr"
UID = 10001
# As in the published base images: apt leaves neither packages nor its caches behind in a layer.
DOCKER_CLEAN = """\
DPkg::Post-Invoke {"rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true";};
APT::Update::Post-Invoke {"rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true";};
Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
"""


def no_try(reason):
    raise unittest.SkipTest(reason)


def tool(*arguments, seconds=900, **more):
    """Runs one of the image tools with our own storage; its stdout. AssertionError with its last words if it fails."""
    done = subprocess.run([str(each) for each in arguments], env=environment(), capture_output=True, text=True,
                          timeout=seconds, stdin=subprocess.DEVNULL, **more)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, arguments[:3]))}… ended with {done.returncode}:\n"
                             + "\n".join((done.stdout + done.stderr).splitlines()[-25:]))
    return done.stdout


def environment():
    folder = CACHE / "containers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n')
    # Both limits: where a container may not raise its own, podman's defaults fail. runc: crun wants a pure cgroup v2.
    (folder / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n')
    return {**os.environ, "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf",
            "CONTAINERS_CONF": f"{folder}/containers.conf"}


def base_name():
    return re.search(r"^ARG BASE=(\S+)$", (ROOT / "docker/Dockerfile").read_text(), re.M)[1]


def machine_sources(release):
    """This machine's package sources (Debian's own, not third parties'), for another release: (file name, text)."""
    here = re.search(r"^VERSION_CODENAME=(\w+)$", pathlib.Path("/etc/os-release").read_text(), re.M)
    if not here:
        no_try("this is no Debian release with a name")
    apt = pathlib.Path("/etc/apt")
    for path in [apt / "sources.list.d/debian.sources", apt / "sources.list", *sorted(apt.glob("sources.list.d/*"))]:
        suite = rf"(?<=[ \n]){here[1]}(?=[-/ \n])"  # a word of its own, or before -updates and -security
        if path.suffix in (".sources", ".list") and path.exists() and re.search(suite, path.read_text()):
            return path.name, re.sub(suite, release, path.read_text())
    return no_try("no package sources of Debian are set up on this machine")


def make_base(name):
    release = name.split(":")[1].split("-")[0]
    file, text = machine_sources(release)
    with tempfile.TemporaryDirectory() as folder:
        sources, archive, clean = (pathlib.Path(folder, each) for each in (file, "base.tar", "docker-clean"))
        sources.write_text(text)
        clean.write_text(DOCKER_CLEAN)
        try:
            tool("mmdebstrap", "--variant=minbase", "--mode=root", "--include=usr-is-merged,ca-certificates",
                 f"--hook-dir={HOOKS}", '--aptopt=Acquire::Languages "none"',
                 "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
                 "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
                 f"--customize-hook=copy-in {clean} /etc/apt/apt.conf.d",
                 '--customize-hook=rm -f "$1"/var/cache/apt/*.bin',
                 release, archive, sources)
        except AssertionError as error:
            no_try(f"no base of Debian {release} from this machine's package sources: {str(error).splitlines()[-1]}")
        tool("podman", "import", "--change", 'CMD ["bash"]', archive, f"docker.io/library/{name}")


def can_run():
    for needed in ("buildah", "podman", "runc", "mmdebstrap"):
        if not shutil.which(needed):
            no_try(f"{needed} is not installed")
    if os.geteuid() != 0:
        no_try("building an image here needs root")


def build(tag="localhost/penstock:test"):
    """Builds the image from docker/Dockerfile as it stands; its tag."""
    can_run()
    name = base_name()
    if subprocess.run(["podman", "image", "exists", f"docker.io/library/{name}"], env=environment()).returncode != 0:
        make_base(name)
    bud = ["buildah", "bud", "--isolation", "chroot", "--pull=never", "--format", "docker", "--layers",
           "-f", ROOT / "docker/Dockerfile"]
    tool(*bud, "--target", "build", "-t", f"{tag}-build", ROOT, seconds=1500)  # named, so that its layers are kept
    tool(*bud, "-t", tag, ROOT, seconds=600)
    tool("podman", "image", "prune", "-f")  # what earlier builds left
    try:
        tool("podman", "run", "--rm", *HARDENED, tag, "--version", seconds=60)
    except AssertionError as error:
        if "setrlimit" in str(error) or "cgroup" in str(error) or "runc" in str(error):
            no_try(f"the image is built, but podman cannot run anything here: {str(error).splitlines()[-1]}")
        raise
    return tag


HARDENED = ["--network", "host", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges",
            "--memory", "256m", "--pids-limit", "128", "--health-interval", "disable", "--pull=never"]


def inspect(tag):
    return json.loads(tool("podman", "image", "inspect", tag))[0]
