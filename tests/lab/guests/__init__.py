"""Sample guests: virtual machines as VMware would hold them, built from Debian's packages and cached by content."""
