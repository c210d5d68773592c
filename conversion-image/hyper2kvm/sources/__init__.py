"""Sources: where virtual machines come from. A source describes a machine and says where its disks' bytes lie."""
