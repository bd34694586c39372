"""Ed25519 keys of the laboratory. The private key never enters a run directory; the public one may."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowmrd.errors import ReviewError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PASSPHRASE: Final = "FLOWMRD_REVIEW_PASSPHRASE"  # noqa: S105 - the name of a variable
PRIVATE_NAME: Final = "flowmrd-review.key"
PUBLIC_NAME: Final = "flowmrd-review.pub"
MAX_KEY_BYTES: Final = 10_000


def make_key(folder: Path) -> tuple[Path, Path, str]:
    """Make a key pair. Only the owner can read the private key; it is encrypted if the passphrase variable is set.

    Returns
    -------
    tuple
        Paths of private and public key, and the key's id.

    Raises
    ------
    ReviewError
        Where a key is already there: it is never overwritten, old signatures need it.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    folder.mkdir(parents=True, exist_ok=True)
    private, public = folder / PRIVATE_NAME, folder / PUBLIC_NAME
    for path in (private, public):
        if path.exists():
            raise ReviewError(
                str(path),
                found="a key that is already there",
                expected="a folder without one",
                todo="choose another folder; earlier signatures can only be checked with the key that made them",
            )
    key = Ed25519PrivateKey.generate()
    secret = os.environ.get(PASSPHRASE, "")
    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(secret.encode()) if secret else serialization.NoEncryption()
    )
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    handle = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(text)
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public, key_id(key.public_key())


def key_id(key: Ed25519PublicKey) -> str:
    """First 16 hex digits of the SHA-256 of the raw public key."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def load_private(path: Path) -> Ed25519PrivateKey:
    """Load a private key.

    Raises
    ------
    ReviewError
        Where it is missing, readable by others, of another kind, or the passphrase is wrong.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(path)
    if path.stat().st_mode & 0o077:
        raise ReviewError(
            str(path),
            found="a private key that others can read",
            expected="permissions for its owner alone",
            todo=f"run: chmod 600 {path}",
        )
    secret = os.environ.get(PASSPHRASE, "")
    try:
        key = load_pem_private_key(data, password=secret.encode() if secret else None)
    except (ValueError, TypeError) as error:
        raise ReviewError(
            str(path),
            found="no key that can be opened",
            expected="an Ed25519 key in PEM, made by 'flowmrd review keygen'",
            todo=f"set {PASSPHRASE} where the key has a passphrase, and unset it where it has none",
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ReviewError(
            str(path), found="a key of another kind", expected="an Ed25519 key", todo="run 'flowmrd review keygen'"
        )
    return key


def load_public(path: Path) -> Ed25519PublicKey:
    """Load a public key.

    Raises
    ------
    ReviewError
        Where it is missing or not an Ed25519 key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data = _read(path)
    try:
        key = load_pem_public_key(data)
    except ValueError as error:
        raise ReviewError(
            str(path),
            found="no public key",
            expected="an Ed25519 public key in PEM",
            todo=f"give the {PUBLIC_NAME} made together with the private key",
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ReviewError(
            str(path), found="a key of another kind", expected="an Ed25519 key", todo="give the laboratory's review key"
        )
    return key


def sign(key: Ed25519PrivateKey, digest: str) -> str:
    """Signature of a digest's hex text, as hex."""
    return key.sign(digest.encode("ascii")).hex()


def signature_holds(key: Ed25519PublicKey, digest: str, signature: str) -> bool:
    """Whether a signature was made by this key over this digest."""
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(bytes.fromhex(signature), digest.encode("ascii"))
    except (InvalidSignature, ValueError):
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_KEY_BYTES)
    except OSError as error:
        raise ReviewError(
            str(path),
            found=f"a key that cannot be read ({error.strerror})",
            expected="a key file",
            todo="give the path of the laboratory's review key",
        ) from error
