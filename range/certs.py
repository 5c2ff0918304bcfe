"""Makes the private authority of a world and one certificate per HTTPS site, with openssl."""

from pathlib import Path

from fabric import sh
from world import World

KEYS = {
    "rsa2048": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa4096": ["RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
    "ec256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ec384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
}
DAYS = "90"


def make(world: World, folder: Path) -> None:
    """Write ca.pem (what clients trust), and SITE.key and SITE.pem per site and mail or broker host."""
    folder.mkdir()
    issue(folder, "ca", "/O=Range/CN=Range Root", "rsa4096", None, True)
    issue(folder, "middle", "/O=Range/CN=Range Issuing 1", "ec256", "ca", True)
    for site, spec in world.sites.items():
        issue(folder, site, f"/CN={site}", spec["cert"], "middle" if spec["chain"] else "ca", False)
        if spec["chain"]:
            leaf = folder / f"{site}.pem"
            leaf.write_text(leaf.read_text() + (folder / "middle.pem").read_text())
    for host in world.with_service("smtp") + world.with_service("mqtt"):
        issue(folder, world.fqdn(host), f"/CN={world.fqdn(host)}", "rsa2048", "ca", False)


def issue(folder: Path, name: str, subject: str, kind: str, issuer: str, authority: bool) -> None:
    """Make a key and sign a certificate for it; no issuer means self-signed."""
    key, pem = str(folder / f"{name}.key"), str(folder / f"{name}.pem")
    sh("openssl", "genpkey", "-algorithm", *KEYS[kind], "-out", key)
    request = ["openssl", "req", "-new", "-x509", "-key", key, "-subj", subject, "-days", DAYS, "-out", pem]
    extras = (
        ["-addext", "basicConstraints=critical,CA:TRUE"]
        if authority
        else ["-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=critical,CA:FALSE"]
    )
    if issuer:
        extras += ["-CA", str(folder / f"{issuer}.pem"), "-CAkey", str(folder / f"{issuer}.key")]
    sh(*request, *extras)
