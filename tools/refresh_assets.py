"""Brings the pages' vendored files from the npm registry, each checked against this table.

    python -m tools.refresh_assets          downloads, checks, writes (`make assets`)
    python -m tools.refresh_assets --check  compares the files in the tree with the table, offline

For a newer version: change `version`, run it; it fails and tells the new archive's SHA-256. Compare
that with what `npm view PACKAGE@VERSION dist` says, read what has changed, and write it down here.
Then it tells in the same way what the file's is.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

VENDOR = Path(__file__).parents[1] / "src/headrace/server/pages/assets/vendor"
LICENSES = "LICENSES.txt"
OURS = frozenset({"preact.js"})
"""Not from anywhere: the one module through which the pages import preact, its hooks and htm."""


def as_it_is(text: str) -> str:
    """An ES module already."""
    return text


def local_preact(text: str) -> str:
    """The hooks, which import preact by a bare name; a page without an import map has none."""
    bare = 'from"preact"'
    if text.count(bare) != 1:
        raise SystemExit("The hooks import preact in another way now.")
    return text.replace(bare, 'from"./preact-core.js"')


def without_banner(text: str) -> str:
    """Without the comments before the code: our own header and `LICENSES` say what they do."""
    return re.sub(r"^(?:/\*[\s\S]*?\*/\s*)+", "", text)


def from_umd(text: str) -> str:
    """A module from a file for CommonJS, which leaves no global name behind."""
    return (
        "const module = { exports: {} }, exports = module.exports;\n"
        f"{text}\nexport default module.exports;\n"
    )


def from_script(text: str) -> str:
    """A module from uPlot's file for a script tag, which declares its one name."""
    return f"{text}\nexport default uPlot;\n"


@dataclass(frozen=True)
class File:
    """A file to vendor.

    Attributes:
        source: Its path in the package.
        name: Its name here.
        sha256: Of what is written here.
        made: From the package's text to ours.
    """

    source: str
    name: str
    sha256: str
    made: Callable[[str], str] = as_it_is


@dataclass(frozen=True)
class Package:
    """A package of the npm registry.

    Attributes:
        name: As the registry has it.
        version: Exactly this one.
        license: Its SPDX expression.
        sha256: Of the archive.
        files: What we take of it.
        licenses: Where in it the licence's whole text stands.
    """

    name: str
    version: str
    license: str
    sha256: str
    files: tuple[File, ...]
    licenses: tuple[str, ...] = ("LICENSE",)


PACKAGES = (
    Package(
        "preact",
        "10.29.8",
        "MIT",
        "b18cb0a457f3d43c7bb30391a74ade7d13e03bc6e77915e061c70c0fe1123299",
        (
            File(
                "dist/preact.module.js",
                "preact-core.js",
                "320b2c188d5838b4a0975417d7d99e5f69c92c0fd0183d1aa9b504104cf9b97c",
            ),
            File(
                "hooks/dist/hooks.module.js",
                "preact-hooks.js",
                "7092bded84133f25b9820b402b1185f80976bb717233b315f14bccc5a71be07e",
                local_preact,
            ),
        ),
    ),
    Package(
        "htm",
        "3.1.1",
        "Apache-2.0",
        "2425b9bee11409177bcabc7f32e319926fc6690c1701c0b257c88bdff2d5ba90",
        (
            File(
                "dist/htm.module.js",
                "htm.js",
                "25d569abad8e38ce82a233048a52fab9b4774ea74ae518bc08cf7dcc4c7cacd0",
            ),
        ),
    ),
    Package(
        "marked",
        "18.2.1",
        "MIT",
        "d66c5213fc203466186060105b01f51896764ba64b3797d2620d02e28e34b8ca",
        (
            File(
                "lib/marked.esm.js",
                "marked.js",
                "3b30b8fa13160e2520e3dfccfc87ff9a744d41984fe9b94829bae84d5f47eec0",
                without_banner,
            ),
        ),
    ),
    Package(
        "dompurify",
        "3.5.0",
        "MPL-2.0 OR Apache-2.0",
        "faa5f2bfe2814384b83d6edb4ed66812fbfdb2a654b4d59edd4b12304058ec20",
        (
            File(
                "dist/purify.min.js",
                "purify.js",
                "e03c505f9e90d03df8a4dbce4e2c60ab868ec7c2b9c2061a80ae73a3a46d114d",
                from_umd,
            ),
        ),
        ("LICENSE", "LICENSE-MPL"),
    ),
    Package(
        "uplot",
        "1.6.32",
        "MIT",
        "4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d",
        (
            File(
                "dist/uPlot.iife.min.js",
                "uplot.js",
                "9d88bb4fe37fcb247c51ce3c20740eb14145eac8c0fb72431a2c670830ffacbd",
                from_script,
            ),
            File(
                "dist/uPlot.min.css",
                "uplot.css",
                "3ed94515cc7353655ae7f4750af558c6afb038fa239aa01cdf5e09818d226d23",
            ),
        ),
    ),
)


def main(arguments: list[str]) -> None:
    """The command line."""
    if arguments == ["--check"]:
        if faults := list(faults_in(VENDOR)):
            raise SystemExit("\n".join(faults))
    elif arguments:
        raise SystemExit(__doc__)
    else:
        refresh(VENDOR)


def faults_in(folder: Path) -> Iterator[str]:
    """What in the folder is not as the table says, a line each."""
    files = {file.name: file.sha256 for package in PACKAGES for file in package.files}
    found = {path.name: path for path in folder.iterdir()}
    for name in sorted(found.keys() - files.keys() - OURS - {LICENSES}):
        yield f"{name}: not in the table"
    for name, expected in sorted(files.items()):
        if name not in found:
            yield f"{name}: is missing; run `make assets`"
        elif (actual := _sha256(found[name].read_bytes())) != expected:
            yield f"{name}: is {actual}, not {expected} as in the table; run `make assets`"
    told = found[LICENSES].read_text() if LICENSES in found else ""
    for package in PACKAGES:
        if _heading(package) not in told:
            yield f"{LICENSES}: has nothing of {package.name} {package.version}"


def refresh(folder: Path) -> None:
    """Download all, check all, then write all.

    Raises:
        SystemExit: an archive, or what is made of it, is not as the table says; nothing is written.
    """
    written, licenses = dict[str, str](), list[str]()
    with TemporaryDirectory() as scratch:
        for package in PACKAGES:
            read = _unpacked(package, Path(scratch))
            texts = "\n\n".join(read(path).strip("\n") for path in package.licenses)
            licenses.append(f"{_heading(package)}\n\n{texts}\n")
            for file in package.files:
                text = _header(package, file) + _without_map(file.made(read(file.source)))
                _compare(f"{package.name}: {file.name}", text.encode(), file.sha256)
                written[file.name] = text
    written[LICENSES] = "\n\n".join(licenses)
    for name, text in written.items():
        (folder / name).write_text(text)


def _unpacked(package: Package, scratch: Path) -> Callable[[str], str]:
    """The archive from npm's own client; gives what reads a file of it."""
    command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
    subprocess.run(command, cwd=scratch, check=True, timeout=120)
    archive = scratch / f"{package.name}-{package.version}.tgz"
    _compare(
        f"the archive of {package.name} {package.version}", archive.read_bytes(), package.sha256
    )

    def read(path: str) -> str:
        with tarfile.open(archive) as tar:
            found = tar.extractfile(f"package/{path}")
            if found is None:
                raise SystemExit(f"{package.name} has no file {path}.")
            return found.read().decode()

    return read


def _heading(package: Package) -> str:
    files = ", ".join(file.name for file in package.files)
    return f"==== {package.name} {package.version} ({files}): {package.license} ===="


def _header(package: Package, file: File) -> str:
    """Which file this is, and under which licence."""
    return (
        f"/*! {package.name} {package.version} {file.source} | "
        f"{package.license}, whole in {LICENSES} */\n"
    )


def _without_map(text: str) -> str:
    """Without the address of a source map, which is not served."""
    return "".join(
        line for line in text.splitlines(keepends=True) if "# sourceMappingURL=" not in line
    )


def _compare(what: str, data: bytes, expected: str) -> None:
    if (actual := _sha256(data)) != expected:
        raise SystemExit(f"{what}: SHA-256 is {actual}, not {expected or 'in the table'}.")


def _sha256(data: bytes) -> str:
    return sha256(data).hexdigest()


if __name__ == "__main__":
    main(sys.argv[1:])
