"""`h2k serve`: finished images over HTTPS, for CDI to import."""

from pathlib import Path

import click

from hyper2kvm.imageserver import ImageServer

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--secrets", type=_FOLDER, required=True, help="Folder with tls.crt, tls.key, accessKeyId, secretKey.")
@click.option("--port", type=click.IntRange(0, 65535), default=8443, show_default=True, help="Port to listen on.")
@click.option("--host", default="", help="Address to listen on.  [default: every one]")
def serve(folder: Path, secrets: Path, port: int, host: str) -> None:
    """Serve the images in FOLDER read-only over HTTPS with Range, to a client that knows user and password.

    The operator uses it for the handoff Import.
    """
    server = ImageServer(folder, secrets, (host, port))
    click.echo(f"serving {folder} on port {server.port}")
    server.serve()
