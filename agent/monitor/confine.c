#include "agent/monitor/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/log.h"

/* ---- capabilities ---- */

/* Run folders that the worker's group reads; worker and probes as accounts of their own, which give
 * up the rest themselves; ending them. */
static const unsigned char kept[] = {CAP_CHOWN, CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_KILL};

static bool is_kept(unsigned cap)
{
	return memchr(kept, (int)cap, sizeof(kept)) != NULL;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	/* without root there are none to drop */
	if (syscall(SYS_capget, &header, data) != 0)
		return -errno;
	if ((data[0].effective & (1u << CAP_SETPCAP)) == 0)
		return 0;
	for (unsigned cap = 0; cap < 64; cap++) {
		if (!is_kept(cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EINVAL)
			return -errno;
	}
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		uint32_t mask = 0;

		for (unsigned bit = 0; bit < 32; bit++)
			mask |= is_kept((unsigned)i * 32 + bit) ? UINT32_C(1) << bit : 0;
		data[i].effective &= mask;
		data[i].permitted &= mask;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) == 0 ? 0 : -errno;
}

/* ---- Landlock ---- */

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE /* not in Debian 12's headers; from version 3 on */
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#define WRITES_1                                                                                   \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                           \
		LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                    \
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                        \
		LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                      \
		LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define WRITES_2 (WRITES_1 | LANDLOCK_ACCESS_FS_REFER)
#define WRITES_3 (WRITES_2 | LANDLOCK_ACCESS_FS_TRUNCATE)
#define ON_FILES (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)

static int allow(int rules_fd, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = access, .parent_fd = open(path, O_PATH | O_CLOEXEC)};
	int rc = 0;

	if (beneath.parent_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (syscall(SYS_landlock_add_rule, rules_fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0)
		rc = -errno;
	close(beneath.parent_fd);
	return rc;
}

static int restrict_files(const char *const *folders, size_t n)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr attr = {.handled_access_fs = abi >= 3   ? WRITES_3
								  : abi == 2 ? WRITES_2
									     : WRITES_1};
	int fd, rc;

	if (abi < 1)
		return -ENOTSUP;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0)
		return -errno;
	rc = allow(fd, "/dev/null", attr.handled_access_fs & ON_FILES);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = allow(fd, folders[i], attr.handled_access_fs);
	if (rc == 0 && syscall(SYS_landlock_restrict_self, fd, 0) != 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* ---- system calls ---- */

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef OUR_ARCH

static const uint16_t refused[] = {
/* other processes */
#if !defined(__SANITIZE_ADDRESS__) /* which looks for leaks with a process that traces us */
	__NR_ptrace,
#endif
	__NR_process_vm_readv,
	__NR_process_vm_writev,
	__NR_kcmp,
	__NR_pidfd_getfd,
	/* what is where */
	__NR_mount,
	__NR_umount2,
	__NR_pivot_root,
	__NR_chroot,
	__NR_unshare,
	__NR_setns,
	__NR_open_tree,
	__NR_move_mount,
	__NR_fsopen,
	__NR_mount_setattr,
	__NR_mknodat,
	__NR_swapon,
	__NR_swapoff,
	__NR_quotactl,
	__NR_acct,
	/* the kernel */
	__NR_bpf,
	__NR_perf_event_open,
	__NR_userfaultfd,
	__NR_io_uring_setup,
	__NR_init_module,
	__NR_finit_module,
	__NR_delete_module,
	__NR_kexec_load,
	__NR_kexec_file_load,
	__NR_reboot,
	__NR_syslog,
	/* the host */
	__NR_sethostname,
	__NR_setdomainname,
	__NR_settimeofday,
	__NR_clock_settime,
	__NR_clock_adjtime,
	__NR_adjtimex,
	__NR_add_key,
	__NR_request_key,
	__NR_keyctl,
	__NR_open_by_handle_at,
};

#define HEAD 8		    /* instructions before the list */
#define TAIL 3		    /* and behind it: allow, refuse, not there */
#define X32_BIT 0x40000000u /* numbers of the x32 ABI: none of ours; others do not come so far */
#define NEW_NAMESPACES                                                                             \
	((unsigned)(CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID |   \
		    CLONE_NEWUSER | CLONE_NEWUTS))

static struct sock_filter load(size_t offset)
{
	return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

static struct sock_filter jump(unsigned how, uint32_t value, uint8_t if_true, uint8_t if_false)
{
	return (struct sock_filter)BPF_JUMP(
		(uint16_t)(BPF_JMP | how | BPF_K), value, if_true, if_false);
}

static struct sock_filter answer(uint32_t what)
{
	return (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what);
}

/* EPERM to what is refused, and to the system calls of other architectures. clone3(2) has its flags
 * where no filter can see them: for libc it is not there, so that it uses clone(2). */
static int restrict_calls(void)
{
	const uint8_t n = ARRAY_LEN(refused);
	struct sock_filter code[HEAD + ARRAY_LEN(refused) + TAIL];
	const struct sock_fprog program = {.len = ARRAY_LEN(code), .filter = code};
	uint8_t at = 0;

	_Static_assert(ARRAY_LEN(refused) < 245, "a jump goes no further than 255");
	code[at++] = load(offsetof(struct seccomp_data, arch));
	code[at++] = jump(BPF_JEQ, OUR_ARCH, 0, (uint8_t)(n + 7));
	code[at++] = load(offsetof(struct seccomp_data, nr));
	code[at++] = jump(BPF_JGE, X32_BIT, (uint8_t)(n + 5), 0);
	code[at++] = jump(BPF_JEQ, __NR_clone3, (uint8_t)(n + 5), 0);
	code[at++] = jump(BPF_JEQ, __NR_clone, 0, 2);
	code[at++] = load(offsetof(struct seccomp_data, args[0]));
	code[at++] = jump(BPF_JSET, NEW_NAMESPACES, (uint8_t)(n + 1), n);
	for (uint8_t i = 0; i < n; i++)
		code[at++] = jump(BPF_JEQ, refused[i], (uint8_t)(n - i), 0);
	code[at++] = answer(SECCOMP_RET_ALLOW);
	code[at++] = answer(SECCOMP_RET_ERRNO | EPERM);
	code[at++] = answer(SECCOMP_RET_ERRNO | ENOSYS);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
		return errno == EINVAL ? -ENOTSUP : -errno;
	return 0;
}

#else

static int restrict_calls(void)
{
	return -ENOTSUP;
}

#endif

int confine_enter(const char *const *folders, size_t n, struct err *err)
{
	int rc = drop_capabilities();

	if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		rc = -errno;
	if (rc != 0)
		return err_set_errno(err, rc, "cannot give up rights");
	rc = restrict_files(folders, n);
	if (rc == -ENOTSUP || rc == -ENOSYS || rc == -EOPNOTSUPP)
		log_warn(LOG_EV("monitor.no_landlock"),
			LOG_STR("error", "not on this kernel, or a seccomp filter is before it"));
	else if (rc != 0)
		return err_set_errno(err, rc, "cannot restrict where files are written");
	rc = restrict_calls();
	if (rc == -ENOTSUP)
		log_warn(LOG_EV("monitor.no_seccomp"), LOG_STR("error", "not on this kernel"));
	else if (rc != 0)
		return err_set_errno(err, rc, "cannot restrict system calls");
	return 0;
}
