"""Reports: what was done to a virtual machine and how it was proved, for people and for programs."""
