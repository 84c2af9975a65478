# SPDX-License-Identifier: MIT
"""What programs expect of the machine around them."""
import grp
import locale
import os
import pwd
import socket
import ssl
import subprocess


def handler(event):
    listed = subprocess.run(["sh", "-c", "TZ=Asia/Tokyo date -d @0 '+%H %Z'"], check=True,
                            capture_output=True, text=True)
    return {"locale": locale.setlocale(locale.LC_ALL, "C.UTF-8"), "upper": "straße".upper(),
            "ports": [socket.getservbyname(name) for name in event["services"]],
            "udp": socket.getprotobyname("udp"), "zone": listed.stdout.strip(),
            "certificates": len(ssl.create_default_context().get_ca_certs()) > 50,
            "null": os.stat("/dev/null").st_rdev, "address": socket.gethostbyname("localhost"),
            "user": [os.getuid(), os.getgid(), pwd.getpwuid(os.getuid()).pw_dir,
                     grp.getgrgid(os.getgid()).gr_gid]}
