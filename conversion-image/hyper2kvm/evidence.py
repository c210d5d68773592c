"""Names of the files in a workspace's evidence folder. The boot check writes them, the report shows them."""

SERIAL_LOG = "boot-serial.log"
SCREENSHOT = "boot-screen.png"
PROBE_REPORT = "boot-probe.json"
