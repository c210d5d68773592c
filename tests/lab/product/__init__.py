"""The product on the lab's cluster: its images from its own Containerfiles, its chart installed by Helm."""
