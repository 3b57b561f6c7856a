#!/bin/sh
# Process 1 of the user-mode Linux: this machine's own root, read-only, a pure cgroup v2, and one command; then the end.
mount -t proc none /proc
mount -t sysfs none /sys
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /run
mount -t tmpfs none /dev/shm 2>/dev/null
ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null
cd "$UML_DIRECTORY" || exit
export HOME=/run TMPDIR=/run PYTHONDONTWRITEBYTECODE=1
"$UML_PYTHON" -m pytest -q --color=no -p no:cacheprovider --rootdir="$UML_DIRECTORY" $(echo "$UML_TESTS" | tr , " ")
echo "uml: status $?"
"$UML_PYTHON" -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321FEDC)'
