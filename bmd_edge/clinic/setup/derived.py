"""`clinic.toml` -> the files of Orthanc, nginx and systemd that follow from it.

Each begins with the hash of the `clinic.toml` it was made from, so that `bmd-edge clinic doctor` sees one that is of an
earlier `clinic.toml`, or was edited by hand.
"""

import json
import sys
from pathlib import Path

from bmd_edge.clinic.config import Config, address, host_of, is_address
from bmd_edge.clinic.doors.stow import MOST_BODY_BYTES, PATH
from bmd_edge.clinic.places import NGINX_LOG, STOW_SOCKET

ORTHANC_PLUGIN = "/usr/share/orthanc/plugins/libOrthancPython.so"
NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
USER = "bmd-edge"

_CLOSED = ("PrivateDevices=yes", "MemoryDenyWriteExecute=yes")
"""Of programs that need no GPU and make no code as they run."""
_TRANSFER_SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.*"]
_TRANSFER_SYNTAXES += ["1.2.840.10008.1.2.5"]
"""What Orthanc accepts by C-STORE. Not Deflated, which it inflates in memory before the guard is asked."""


def derived(config: Config) -> dict[str, str]:
    """File name -> its text, for the folder of `clinic.toml`; only those whose doors are open."""
    # The largest film takes serve and its reader so much; whatever takes more is ended and read again, thrice at most.
    files = {"bmd-edge-serve.service": _unit(config, "results", _serve(config), "MemoryMax=6G")}
    if config.door.dicom:
        files["orthanc.json"] = orthanc_json(config)
        command = f"/usr/sbin/Orthanc {config.path.parent / 'orthanc.json'}"
        # Orthanc reads whole films into memory before the guard sees them.
        files["bmd-edge-orthanc.service"] = _unit(
            config, "C-STORE", command, "MemoryMax=3G", *_CLOSED, *_scratch(config)
        )
    if config.door.dicom_tls or config.door.stow_tls:
        files["nginx.conf"] = nginx_conf(config)
        command = f"/usr/sbin/nginx -e stderr -c {config.path.parent / 'nginx.conf'}"
        reload = "ExecReload=/bin/kill -HUP $MAINPID"  # with a new certificate, and no connection is cut
        files["bmd-edge-nginx.service"] = _unit(config, "TLS", command, reload, "MemoryMax=512M", *_CLOSED)
    if config.door.dicom or "nginx.conf" in files:
        files["bmd-edge.logrotate"] = _logrotate(config)
    return files


def orthanc_json(config: Config) -> str:
    """Orthanc's configuration: every line is there because its default is otherwise, or did harm."""
    settings = {
        "Name": f"made from clinic.toml {config.digest[:16]}",
        "DicomAet": config.box.ae_title,
        "DicomPort": address(config.door.dicom)[1],
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowStore": False,
        "DicomAlwaysAllowEcho": False,
        # Orthanc listens on every address of the machine; a unit is let in only from its own, or through nginx.
        "DicomCheckModalityHost": True,
        "DicomModalities": {
            name: {
                "AET": unit.ae_title,
                "Host": unit.host if config.door.vlan and not unit.tls else "127.0.0.1",
                "Port": unit.port,
                "AllowFind": False,
                "AllowGet": False,
                "AllowMove": False,
            }
            for name, unit in config.units.items()
        },
        "UnknownSopClassAccepted": False,
        "AcceptedTransferSyntaxes": _TRANSFER_SYNTAXES,
        "OverwriteInstances": False,
        "HttpServerEnabled": False,
        "Plugins": [ORTHANC_PLUGIN],
        "PythonScript": str(Path(__file__).parents[1] / "doors" / "guard.py"),
        "BmdEdge": {"Config": str(config.path)},
        # Without the guard Orthanc would keep films here, and must not: it ends because this folder cannot be made.
        "StorageDirectory": "/dev/null/the-guard-is-missing",
        "IndexDirectory": str(Path(config.box.scratch) / "orthanc"),
    }
    return json.dumps(settings, indent=1) + "\n"


def nginx_conf(config: Config) -> str:
    """nginx in front of Orthanc and of our STOW-RS: TLS 1.2 or later, and a certificate of the box's authority."""
    root, door, tls = config.root, config.door, config.tls
    certificates = f"""ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {root / tls.certificate};
    ssl_certificate_key {root / tls.key};
    ssl_client_certificate {root / tls.ca};
    ssl_verify_client on;"""
    text = f"""# Made from clinic.toml {config.digest[:16]}
load_module {NGINX_STREAM};
daemon off;
worker_processes 1;
pid {root}/nginx/nginx.pid;
error_log {root / NGINX_LOG} crit;
events {{ }}
"""
    if door.dicom_tls:
        text += f"""
stream {{
  log_format door 'dicom $remote_addr $ssl_client_verify $status -';
  access_log {root / NGINX_LOG} door;
  server {{
    listen {door.dicom_tls} ssl;
    {certificates}
    ssl_handshake_timeout 10s;
    proxy_pass 127.0.0.1:{address(door.dicom)[1]};
    proxy_timeout 10m;
  }}
}}
"""
    if door.stow_tls:
        text += f"""
http {{
  log_format door 'stow $remote_addr $ssl_client_verify $status $upstream_status';
  access_log {root / NGINX_LOG} door;
  server_tokens off;
  client_max_body_size {MOST_BODY_BYTES};
  client_body_timeout 10s;
  client_header_timeout 10s;
  client_body_temp_path {root}/nginx/body;
  proxy_temp_path {root}/nginx/proxy;
  fastcgi_temp_path {root}/nginx/unused;
  uwsgi_temp_path {root}/nginx/unused;
  scgi_temp_path {root}/nginx/unused;
  server {{
    listen {door.stow_tls} ssl;
    {certificates}
    location = {PATH} {{
      limit_except POST {{ deny all; }}
      if ($http_content_encoding) {{ return 415; }}
      proxy_pass http://unix:{root / STOW_SOCKET};
      proxy_read_timeout 60s;
      proxy_set_header X-Client-Subject $ssl_client_s_dn;
    }}
    location / {{ return 403; }}
  }}
}}
"""
    return text


def _logrotate(config: Config) -> str:
    """The logs of Orthanc, whose every line is written by itself, and of nginx, which is told that they have moved."""
    root = config.root
    return f"""# Made from clinic.toml {config.digest[:16]}
"{root}/log/*.log" {{
  su {USER} {USER}
  weekly
  maxsize 50M
  rotate 8
  compress
  delaycompress
  missingok
  notifempty
  nocreate
  sharedscripts
  postrotate
    [ ! -f "{root}/nginx/nginx.pid" ] || kill -USR1 "$(cat "{root}/nginx/nginx.pid")"
  endscript
}}
"""


def _serve(config: Config) -> str:
    return f"{sys.executable} -m bmd_edge clinic serve --config {config.path}"


def _scratch(config: Config) -> list[str]:
    folder = Path(config.box.scratch)
    if folder.parent == Path("/run"):  # systemd makes it, and empties it when Orthanc ends
        return [f"RuntimeDirectory={folder.name}", "RuntimeDirectoryMode=0700"]
    return [f"ReadWritePaths={folder}"]


def _unit(config: Config, what: str, command: str, *more: str) -> str:
    """A systemd unit: no shell, no other folder to write to, no other host to talk to than those of clinic.toml."""
    hosts = {unit.host for unit in config.units.values()} | {host_of(pacs) for pacs in config.pacs.values()}
    if all(map(is_address, hosts)):  # systemd looks no name up
        more = (*more, "IPAddressDeny=any", f"IPAddressAllow={' '.join(['localhost', *sorted(hosts)])}")
    lines = [
        f"# Made from clinic.toml {config.digest[:16]}",
        "[Unit]",
        f"Description=bmd-edge clinic box: {what}",
        "After=network-online.target",
        "",
        "[Service]",
        f"ExecStart={command}",
        f"User={USER}",
        "Restart=always",
        "RestartSec=2",
        "UMask=0077",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        f"ReadWritePaths={config.root}",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        *(f"Protect{what}=yes" for what in ("KernelTunables", "KernelModules", "KernelLogs", "ControlGroups")),
        *(f"Protect{what}=yes" for what in ("Clock", "Hostname")),
        "ProtectProc=invisible",
        *(f"Restrict{what}=yes" for what in ("Namespaces", "Realtime", "SUIDSGID")),
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "LockPersonality=yes",
        "CapabilityBoundingSet=",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        *more,
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"
