"""Every reason for which a migration can fail, with its cause and remedy: the one place for them.

The reference page of reasons and the conditions' texts are made from this table.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum


class Category(Enum):
    """Groups of reasons; a command's exit code tells the group."""

    UNEXPECTED = 1
    SPEC = 2
    SOURCE = 3
    IMAGE = 4
    GUEST = 5
    TARGET = 6
    VALIDATION = 7
    HOST = 8
    BUSY = 9
    CLUSTER = 10

    @property
    def exit_code(self) -> int:
        """Exit code of the `h2k` command."""
        return self.value


EXIT_OK = 0
EXIT_RETRY = 75
"""In a pod: the failure may pass, another try is worth it (EX_TEMPFAIL of sysexits.h)."""
EXIT_INTERRUPTED = 130


class Reason(StrEnum):
    """Stable names. They may be added to, never renamed."""

    UNEXPECTED = "Unexpected"

    INVALID_SPEC = "InvalidSpec"
    UNKNOWN_FIELD = "UnknownField"
    MANIFEST_UNREADABLE = "ManifestUnreadable"
    PROFILE_NOT_FOUND = "ProfileNotFound"
    VOLUME_NOT_MAPPED = "VolumeNotMapped"
    SECRET_NOT_MAPPED = "SecretNotMapped"  # noqa: S105 -- a reason's name
    COMMAND_LINE_INVALID = "CommandLineInvalid"

    SOURCE_NOT_FOUND = "SourceNotFound"
    SOURCE_UNREADABLE = "SourceUnreadable"
    SOURCE_AMBIGUOUS = "SourceAmbiguous"
    SOURCE_UNRECOGNISED = "SourceUnrecognised"
    SOURCE_CHANGED = "SourceChanged"
    MACHINE_DESCRIPTION_INVALID = "MachineDescriptionInvalid"
    MANIFEST_DIGEST_MISMATCH = "ManifestDigestMismatch"
    ARCHIVE_UNSAFE = "ArchiveUnsafe"
    ARCHIVE_INCOMPLETE = "ArchiveIncomplete"

    IMAGE_TRUNCATED = "ImageTruncated"
    IMAGE_CORRUPT = "ImageCorrupt"
    IMAGE_FORMAT_MISMATCH = "ImageFormatMismatch"
    IMAGE_UNSUPPORTED = "ImageUnsupported"
    IMAGE_REFERENCE_UNSAFE = "ImageReferenceUnsafe"
    EXTENT_MISSING = "ExtentMissing"
    PARENT_MISSING = "ParentMissing"
    PARENT_CHANGED = "ParentChanged"

    NO_OPERATING_SYSTEM = "NoOperatingSystem"
    MULTIPLE_OPERATING_SYSTEMS = "MultipleOperatingSystems"
    UNSUPPORTED_OPERATING_SYSTEM = "UnsupportedOperatingSystem"
    ENCRYPTED_WITHOUT_KEY = "EncryptedWithoutKey"
    GUEST_HIBERNATED = "GuestHibernated"
    FILESYSTEM_NOT_MOUNTED = "FilesystemNotMounted"
    BOOT_LOADER_UNKNOWN = "BootLoaderUnknown"
    INITRAMFS_UNSUPPORTED = "InitramfsUnsupported"
    DRIVERS_MISSING = "DriversMissing"
    GUEST_FILE_INVALID = "GuestFileInvalid"
    GUEST_FULL = "GuestFull"
    EDIT_FAILED = "EditFailed"

    TARGET_EXISTS = "TargetExists"
    TARGET_PUBLISHED = "TargetPublished"
    TARGET_FULL = "TargetFull"
    TARGET_UNWRITABLE = "TargetUnwritable"
    TARGET_TOO_SMALL = "TargetTooSmall"

    CONTENT_MISMATCH = "ContentMismatch"
    BOOT_FAILED = "BootFailed"
    BOOT_TIMED_OUT = "BootTimedOut"

    PROGRAM_MISSING = "ProgramMissing"
    MODULE_MISSING = "ModuleMissing"
    PROGRAM_FAILED = "ProgramFailed"
    PROGRAM_TIMED_OUT = "ProgramTimedOut"
    APPLIANCE_FAILED = "ApplianceFailed"
    FIRMWARE_MISSING = "FirmwareMissing"
    WORKSPACE_FULL = "WorkspaceFull"
    WORKSPACE_UNUSABLE = "WorkspaceUnusable"
    PRIVILEGES_KEPT = "PrivilegesKept"
    SERVER_NOT_STARTED = "ServerNotStarted"

    WORKSPACE_LOCKED = "WorkspaceLocked"

    SOURCE_VOLUME_MISSING = "SourceVolumeMissing"
    SECRET_MISSING = "SecretMissing"  # noqa: S105 -- a reason's name
    SERVICE_ACCOUNT_MISSING = "ServiceAccountMissing"
    HOST_PATH_FORBIDDEN = "HostPathForbidden"
    STORAGE_CLASS_MISSING = "StorageClassMissing"
    QUOTA_EXCEEDED = "QuotaExceeded"
    CLAIM_EXISTS = "ClaimExists"
    CLAIM_NOT_BOUND = "ClaimNotBound"
    NETWORK_MAPPING_INVALID = "NetworkMappingInvalid"
    MAC_ADDRESS_IN_USE = "MacAddressInUse"
    VIRTUAL_MACHINE_EXISTS = "VirtualMachineExists"
    VIRTUAL_MACHINE_REFUSED = "VirtualMachineRefused"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    POD_SECURITY_FORBIDDEN = "PodSecurityForbidden"
    POD_UNSCHEDULABLE = "PodUnschedulable"
    POD_NOT_STARTED = "PodNotStarted"
    NODE_SILENT = "NodeSilent"
    OUT_OF_MEMORY = "OutOfMemory"
    POD_ENDED = "PodEnded"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    CDI_MISSING = "CdiMissing"
    KUBEVIRT_MISSING = "KubeVirtMissing"
    HANDOFF_FAILED = "HandoffFailed"
    RESULT_LOST = "ResultLost"
    OPERATOR_ERROR = "OperatorError"
    REQUEST_REFUSED = "RequestRefused"
    NOT_FOUND = "NotFound"
    CLUSTER_NOT_CONFIGURED = "ClusterNotConfigured"
    CLUSTER_UNREACHABLE = "ClusterUnreachable"


@dataclass(frozen=True)
class ReasonText:
    """What a reason means.

    Attributes:
        category: the group it belongs to.
        cause: one sentence on what was found.
        remedy: one or two sentences on what to do; the default hint of an error.
        retry: whether trying again without a change may succeed.
    """

    category: Category
    cause: str
    remedy: str
    retry: bool = False


def _texts(category: Category, rows: dict[Reason, tuple[str, str]], *retry: Reason) -> dict[Reason, ReasonText]:
    return {r: ReasonText(category, cause, remedy, r in retry) for r, (cause, remedy) in rows.items()}


REASONS: dict[Reason, ReasonText] = {
    **_texts(
        Category.UNEXPECTED,
        {
            Reason.UNEXPECTED: (
                "An error that nobody thought of: a defect of hyper2kvm-operator.",
                "Please report it, with the traceback that the message tells of. The same command again continues where it stopped.",
            ),
        },
        Reason.UNEXPECTED,
    ),
    **_texts(
        Category.SPEC,
        {
            Reason.INVALID_SPEC: (
                "A field of the manifest has a value that is not allowed.",
                "Correct the field that the message names; `kubectl explain vmig.spec` lists the allowed values.",
            ),
            Reason.UNKNOWN_FIELD: (
                "The manifest has a key that the API does not know.",
                "Remove or rename the key; the message names the nearest known one.",
            ),
            Reason.MANIFEST_UNREADABLE: (
                "A manifest could not be read, is not YAML, or holds no VirtualMachineMigration.",
                "Give a YAML file with one VirtualMachineMigration and, where it names them, its MigrationProfiles.",
            ),
            Reason.PROFILE_NOT_FOUND: (
                "The migration names a MigrationProfile that does not exist.",
                "Create the profile, give its file on the command line, or remove it from spec.profiles.",
            ),
            Reason.VOLUME_NOT_MAPPED: (
                "The source stands on a volume that this machine does not have.",
                "Say where the volume's content lies here: --volume NAME=FOLDER.",
            ),
            Reason.SECRET_NOT_MAPPED: (
                "The migration names a Secret that this machine does not have.",
                "Put the Secret's values as files into a folder and name it: --secret NAME=FOLDER.",
            ),
            Reason.COMMAND_LINE_INVALID: (
                "The command line has an option, an argument or a file that cannot be.",
                "Each command lists with --help what it takes.",
            ),
        },
    ),
    **_texts(
        Category.SOURCE,
        {
            Reason.SOURCE_NOT_FOUND: (
                "There is nothing at spec.source's path.",
                "Check spec.source.files.path against the volume's content.",
            ),
            Reason.SOURCE_UNREADABLE: (
                "A file of the source cannot be opened or read.",
                "Make the file readable for the user that runs the conversion (uid 107 in a pod).",
            ),
            Reason.SOURCE_AMBIGUOUS: (
                "The folder holds more than one virtual machine.",
                "Name one of the files in spec.source.files.path.",
            ),
            Reason.SOURCE_UNRECOGNISED: (
                "The path is no virtual machine that this version reads.",
                (
                    "Give a folder with a .vmx or .ovf, an .ova, or a single .vmdk, .qcow2, .raw, .img, .vhd, .vhdx or .vdi; "
                    "for another file name set spec.source.files.format."
                ),
            ),
            Reason.SOURCE_CHANGED: (
                "The source is not what it was when this migration started.",
                "Stop whatever writes to the source, and run the same command again: it starts anew.",
            ),
            Reason.MACHINE_DESCRIPTION_INVALID: (
                "The VMX or OVF cannot be understood.",
                "Export the virtual machine again, or give its disk alone with spec.machine for the hardware.",
            ),
            Reason.MANIFEST_DIGEST_MISMATCH: (
                "A file of the OVA or OVF is not the one that its manifest (.mf) was made for.",
                "The export was damaged or altered: copy or export it again and compare the digests.",
            ),
            Reason.ARCHIVE_UNSAFE: (
                "The OVA has an entry that points out of its folder or is not a plain file.",
                "Do not use this archive: an OVA has plain files with plain names only. Export the machine again.",
            ),
            Reason.ARCHIVE_INCOMPLETE: (
                "The OVA ends early, or a file that its OVF names is missing, or holds a disk that the OVF does not list.",
                "Copy or export the machine again; compare the archive's size with the original's.",
            ),
        },
        Reason.SOURCE_UNREADABLE,
    ),
    **_texts(
        Category.IMAGE,
        {
            Reason.IMAGE_TRUNCATED: (
                "A disk image is shorter than its own header says, or empty.",
                "The copy of the image was cut: copy it again and compare sizes with the original.",
            ),
            Reason.IMAGE_CORRUPT: (
                "A disk image's structures contradict each other.",
                "Check the image where it comes from (`qemu-img check`, vmkfstools -x check) and copy it again.",
            ),
            Reason.IMAGE_FORMAT_MISMATCH: (
                "A file's content is not of the format that its name or spec.source.files.format says.",
                "Set spec.source.files.format to what the file is; formats are never guessed from content.",
            ),
            Reason.IMAGE_UNSUPPORTED: (
                "The image uses a variant of its format that this version does not read.",
                "Convert or export it at the source to one of the variants that the documentation lists.",
            ),
            Reason.IMAGE_REFERENCE_UNSAFE: (
                "An image names a file outside of its own folder, a device, or a backing or data file that is not allowed.",
                "Do not trust this image: references must be plain names beside it. Flatten it where it comes from.",
            ),
            Reason.EXTENT_MISSING: (
                "A file that a disk's descriptor names is not there.",
                "Copy all files of the disk (descriptor and extents) into the same folder.",
            ),
            Reason.PARENT_MISSING: (
                "The base of a snapshot or differencing disk is not there.",
                "Copy the whole chain into the same folder, or remove the snapshots at the source.",
            ),
            Reason.PARENT_CHANGED: (
                "The base of a snapshot was written after the snapshot was taken.",
                "The chain is no longer consistent: consolidate the snapshots at the source and export again.",
            ),
        },
    ),
    **_texts(
        Category.GUEST,
        {
            Reason.NO_OPERATING_SYSTEM: (
                "No disk holds an operating system that can be recognised.",
                (
                    "Check that the boot disk is among the disks; to copy disks without changes set "
                    "spec.guest.whenUnsupported: Copy."
                ),
            ),
            Reason.MULTIPLE_OPERATING_SYSTEMS: (
                "The disks hold more than one operating system.",
                "Name the root file system's device in spec.guest.root; the message lists the candidates.",
            ),
            Reason.UNSUPPORTED_OPERATING_SYSTEM: (
                "The guest's operating system is one that this version cannot repair.",
                "To copy the disks without changes set spec.guest.whenUnsupported: Copy and prepare the guest yourself.",
            ),
            Reason.ENCRYPTED_WITHOUT_KEY: (
                "A disk is encrypted and no key that was given opens it.",
                "Put a passphrase or key file into a Secret and name it in spec.guest.keys.secretName.",
            ),
            Reason.GUEST_HIBERNATED: (
                "The guest was hibernated, or its machine suspended: resumed on other disks it would destroy its file systems.",
                "Start it at the source, shut it down, and export it again.",
            ),
            Reason.FILESYSTEM_NOT_MOUNTED: (
                "A file system that the guest needs to boot could not be mounted.",
                "Run fsck in the guest, shut it down cleanly and export it again; the message names the file system.",
            ),
            Reason.BOOT_LOADER_UNKNOWN: (
                "No boot loader that this version knows was found.",
                "To copy the disks without changes set spec.guest.whenUnsupported: Copy.",
            ),
            Reason.INITRAMFS_UNSUPPORTED: (
                "A kernel's initramfs lacks virtio drivers and is of a form that cannot be extended.",
                "Rebuild it in the guest with the virtio modules, or set spec.guest.initramfs: Keep and spec.target.disks.bus: sata.",
            ),
            Reason.DRIVERS_MISSING: (
                "A kernel has no virtio drivers at all, neither built in nor as modules.",
                "Install a kernel with virtio in the guest before migrating, or set spec.target.disks.bus: sata.",
            ),
            Reason.GUEST_FILE_INVALID: (
                "A configuration file of the guest cannot be understood.",
                "Correct the file in the guest; the message names the file and line.",
            ),
            Reason.GUEST_FULL: (
                "A file system of the guest has no room for the changes.",
                "Free the space that the message names in the guest and export it again.",
            ),
            Reason.EDIT_FAILED: (
                "A change to the guest's disk did not take effect.",
                "Run again; if it fails again the file system is damaged: run fsck in the guest.",
            ),
        },
    ),
    **_texts(
        Category.TARGET,
        {
            Reason.TARGET_EXISTS: (
                "There is already a file with the target's name.",
                "Choose another --output folder, or move the existing file away: targets are never overwritten.",
            ),
            Reason.TARGET_PUBLISHED: (
                "An earlier run finished the targets, and since then the plan, the source or the targets have changed.",
                (
                    "A machine may be using them: they are never written again. Give the new migration another name, or "
                    "another --output and --workspace; or remove the finished disks and the workspace first."
                ),
            ),
            Reason.TARGET_FULL: (
                "The target's file system is full.",
                "Make room or enlarge the volume and run the same command again: it continues where it stopped.",
            ),
            Reason.TARGET_UNWRITABLE: (
                "The target cannot be written.",
                "Check the folder's permissions (uid 107 in a pod) and the volume's health, then run again. containerd hands block volumes to uid 107 where device_ownership_from_security_context is true.",
            ),
            Reason.TARGET_TOO_SMALL: (
                "The target volume is smaller than the disk.",
                "Enlarge the volume to the disk's virtual size, which the message states.",
            ),
        },
        Reason.TARGET_FULL,
        Reason.TARGET_UNWRITABLE,
    ),
    **_texts(
        Category.VALIDATION,
        {
            Reason.CONTENT_MISMATCH: (
                "What was read back from the target is not what was written.",
                "The storage lost or changed data: check its health, then run again (only what differs is copied).",
            ),
            Reason.BOOT_FAILED: (
                "The migrated guest was started and did not come up.",
                "See the last screen and the serial log in the report; the message says where the boot stopped.",
            ),
            Reason.BOOT_TIMED_OUT: (
                "The migrated guest was started and did not come up in time.",
                "See the last screen in the report; a slow guest may need a longer spec.validation.boot.timeout.",
            ),
        },
        Reason.CONTENT_MISMATCH,
    ),
    **_texts(
        Category.HOST,
        {
            Reason.PROGRAM_MISSING: (
                "A program that the conversion needs is not installed.",
                "Install it; `h2k doctor` lists what is missing and the packages that hold it.",
            ),
            Reason.MODULE_MISSING: (
                "A Python module that the command needs is not installed.",
                "Install what the message names; `h2k doctor` lists all that is missing.",
            ),
            Reason.PROGRAM_FAILED: (
                "A program that the conversion uses ended with an error.",
                "The message has the program's own words; `h2k doctor` checks the machine.",
            ),
            Reason.PROGRAM_TIMED_OUT: (
                "A program that the conversion uses did not end in time.",
                "Run again on a machine with less load; `h2k doctor` checks the machine.",
            ),
            Reason.APPLIANCE_FAILED: (
                "The libguestfs appliance, in which guests are opened, failed.",
                "Run `h2k doctor`: it starts an appliance and says what is missing.",
            ),
            Reason.FIRMWARE_MISSING: (
                "The UEFI firmware for the boot check is not installed.",
                "Install OVMF (Debian: ovmf, Fedora: edk2-ovmf).",
            ),
            Reason.WORKSPACE_FULL: (
                "The workspace's file system is full.",
                "Make room in the workspace and run the same command again: it continues where it stopped.",
            ),
            Reason.WORKSPACE_UNUSABLE: (
                "The workspace cannot be made, read or written.",
                "See the message: choose another --workspace folder, or let this user write to it.",
            ),
            Reason.PRIVILEGES_KEPT: (
                "A privileged pod could not give up root's rights before its work.",
                "See whether a policy of the cluster changed the pod's security context; or set spec.job.kvm: DevicePlugin or None.",
            ),
            Reason.SERVER_NOT_STARTED: (
                "The server of finished images lacks a secret, or cannot listen at its address.",
                "See the message: end what uses the port, or choose another one with --port.",
            ),
        },
        Reason.PROGRAM_FAILED,
        Reason.PROGRAM_TIMED_OUT,
        Reason.APPLIANCE_FAILED,
        Reason.WORKSPACE_FULL,
    ),
    **_texts(
        Category.BUSY,
        {
            Reason.WORKSPACE_LOCKED: (
                "Another run is using the same workspace.",
                "Wait until it ends (the message names its process), or choose another --workspace and another --output folder.",
            ),
        },
        Reason.WORKSPACE_LOCKED,
    ),
    **_texts(
        Category.CLUSTER,
        {
            Reason.SOURCE_VOLUME_MISSING: (
                "The claim that holds the source does not exist in the migration's namespace.",
                "Create the claim, or correct spec.source.files.volume.",
            ),
            Reason.SECRET_MISSING: (
                "A Secret that the migration names does not exist in its namespace.",
                "Create the Secret that the message names.",
            ),
            Reason.SERVICE_ACCOUNT_MISSING: (
                "The service account of the pods does not exist in the migration's namespace.",
                "Create it, or correct spec.job.serviceAccountName.",
            ),
            Reason.HOST_PATH_FORBIDDEN: (
                "The source is a folder of the node, which the installation does not allow.",
                "Put the files on a claim or NFS, or ask the administrator for the chart's value hostPathSources.enabled.",
            ),
            Reason.STORAGE_CLASS_MISSING: (
                "A storage class that the migration names does not exist, or none is named and the cluster has no default.",
                "Set spec.target.disks.storageClassName to one that `kubectl get storageclass` lists.",
            ),
            Reason.QUOTA_EXCEEDED: (
                "The namespace's quota does not allow the volumes or pods of this migration.",
                "Raise the ResourceQuota that the message names, or free what it counts; then edit the migration to try again.",
            ),
            Reason.CLAIM_EXISTS: (
                "There is already a claim or DataVolume with the name of a target disk, and it is not this migration's.",
                "Give the migration another name (disks are named after it), or remove what has the name.",
            ),
            Reason.CLAIM_NOT_BOUND: (
                "A volume was not provisioned in time.",
                "The message has the words of the storage class's provisioner: see to what it lacks, or name another storage class.",
            ),
            Reason.NETWORK_MAPPING_INVALID: (
                "KubeVirt allows one adapter on the pod network, and the mapping sends several there.",
                "Map the others to Multus networks or ignore them in spec.target.virtualMachine.networks.",
            ),
            Reason.MAC_ADDRESS_IN_USE: (
                "Another VirtualMachine has the MAC address of one of the adapters.",
                "Remove the other VirtualMachine, or ignore the adapter in spec.target.virtualMachine.networks.",
            ),
            Reason.VIRTUAL_MACHINE_EXISTS: (
                "There is already a VirtualMachine with the wanted name, or another migration is about to create it.",
                "Set spec.target.virtualMachine.name to a free name, or remove the other one.",
            ),
            Reason.VIRTUAL_MACHINE_REFUSED: (
                "KubeVirt refuses the VirtualMachine, or would never start it.",
                "Correct spec.target.virtualMachine as the message says. Disks that are finished are kept.",
            ),
            Reason.IMAGE_PULL_FAILED: (
                "The node could not fetch the conversion image.",
                "Check the chart's value conversion.image.name and the node's access to the registry (chart's value imagePullSecrets).",
            ),
            Reason.POD_SECURITY_FORBIDDEN: (
                "The namespace's Pod Security level, or OpenShift's security context constraints, do not allow the pods.",
                "Label the namespace: pod-security.kubernetes.io/enforce=privileged, or set spec.job.kvm: DevicePlugin or None; a source on an nfs volume needs baseline then. On OpenShift, give the service account (spec.job.serviceAccountName) a constraint that allows the pods.",
            ),
            Reason.POD_UNSCHEDULABLE: (
                "No node can take the pod.",
                "See the message: free the resources, correct spec.job (nodeSelector, tolerations, resources), or add a node.",
            ),
            Reason.POD_NOT_STARTED: (
                "The pod was not started in time.",
                "See the message, which has the node's own words.",
            ),
            Reason.NODE_SILENT: (
                "A pod has to go and its node does not say that it has; no other pod writes to the same disks before that.",
                "Bring the node back, or delete the Node once its machine is off for certain.",
            ),
            Reason.POD_ENDED: (
                "A pod ended without leaving a verdict.",
                "The message has Kubernetes' reason, such as Evicted. The Job starts another pod, which goes on where this one stopped.",
            ),
            Reason.OUT_OF_MEMORY: (
                "The conversion's container was killed because it used more memory than its limit.",
                "Raise spec.job.resources.limits.memory; work goes on where it stopped.",
            ),
            Reason.RETRIES_EXHAUSTED: (
                "The Job failed as often as spec.job.retries allows, without leaving a verdict.",
                "The message has the last pod's end. Edit the migration (for example spec.job.retries) to go on where it stopped.",
            ),
            Reason.DEADLINE_EXCEEDED: (
                "The Job took longer than the operator allows.",
                "Raise the chart's value conversion.deadline; edit the migration to go on where it stopped.",
            ),
            Reason.CDI_MISSING: (
                "The handoff Import needs CDI, which is not installed.",
                "Install CDI, or set spec.target.handoff to Adopt or None.",
            ),
            Reason.KUBEVIRT_MISSING: (
                "A VirtualMachine is asked for, and KubeVirt is not installed.",
                "Install KubeVirt, or set spec.target.virtualMachine.create: false.",
            ),
            Reason.HANDOFF_FAILED: (
                "CDI did not take over or import a finished disk.",
                "The message has CDI's own words. The finished disk is kept; edit the migration to try again.",
            ),
            Reason.RESULT_LOST: (
                "A pod has ended well, and what it has told cannot be read.",
                "`kubectl logs` must work for the pods of this namespace. Edit the migration to try again; work that is done is kept.",
            ),
            Reason.OPERATOR_ERROR: (
                "The operator met an error that it does not expect.",
                "Its log has the details: please report them. It goes on trying.",
            ),
            Reason.REQUEST_REFUSED: (
                "The API server refused something that the operator asked for.",
                "The message has the server's own words: usually a missing permission or a policy of the cluster.",
            ),
            Reason.NOT_FOUND: (
                "What was asked for is not in the cluster.",
                "Compare name and namespace with `kubectl get vmig -A`; a report is there once a pod has ended.",
            ),
            Reason.CLUSTER_NOT_CONFIGURED: (
                "There is no kubeconfig, so that no cluster can be asked.",
                "Put the cluster's kubeconfig at ~/.kube/config, or name it in the variable KUBECONFIG.",
            ),
            Reason.CLUSTER_UNREACHABLE: (
                "The API server does not answer.",
                "Check with `kubectl get nodes` that the kubeconfig's current context names a cluster that runs.",
            ),
        },
    ),
}
