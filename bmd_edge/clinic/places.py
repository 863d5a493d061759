"""What lies where in a box's folder."""

STOW_SOCKET = "stow.sock"
"""Where our STOW-RS answers nginx: a socket that no other user may open, for nginx says who a sender is."""
ORTHANC_LOG, NGINX_LOG = "log/orthanc.log", "log/nginx.log"
SERVER = "bmd-edge"
"""What the page's server says it is."""
PATIENT_KEY = "patient.key"
"""The key of what stands in the journal in place of patients' IDs."""
