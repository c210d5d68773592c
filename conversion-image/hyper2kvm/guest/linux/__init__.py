"""Linux guests: configuration files, boot loaders, initramfs archives, as text and bytes. No appliance, no clock."""
