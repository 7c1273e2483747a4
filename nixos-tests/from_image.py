# Starts a machine from an image that was built; its writes go elsewhere.
import os
import subprocess
import tempfile

DISK = tempfile.NamedTemporaryFile(suffix=".qcow2")


def start_from(image: str, qemu: str) -> None:
    """Starts the machine from a raw image, on a disk with more room."""
    create = [f"{qemu}/bin/qemu-img", "create", "-f", "qcow2", "-b", image, "-F", "raw"]
    subprocess.run([*create, DISK.name, "4G"], check=True)
    os.environ["NIX_DISK_IMAGE"] = DISK.name
    machine.start()
    machine.wait_for_unit("multi-user.target")
