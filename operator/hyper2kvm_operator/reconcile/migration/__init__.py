"""The reconcile of VirtualMachineMigration."""
