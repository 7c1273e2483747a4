# Python that starts a machine from an image that was built; what it writes goes elsewhere.
machine:
let
  inherit (machine.system.build) image;
  inherit (machine.virtualisation) qemu;
in
''
  import os
  import subprocess
  import tempfile

  image = "${image}/${machine.image.filePath}"
  disk = tempfile.NamedTemporaryFile(suffix=".qcow2")
  # No disk cuts the image off, and a small one has room to grow.
  size = max(os.path.getsize(image), 4 << 30)
  create = ["${qemu.package}/bin/qemu-img", "create", "-f", "qcow2", "-b", image, "-F", "raw"]
  subprocess.run([*create, disk.name, str(size)], check=True)
  os.environ["NIX_DISK_IMAGE"] = disk.name
  machine.start()
  machine.wait_for_unit("multi-user.target")
''
