#include "agent/worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#define X32_BIT 0x40000000u /* numbers of the x32 ABI: none of ours */
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#if defined(__SANITIZE_ADDRESS__)
#define WITH_SANITIZER 1 /* looks for leaks with a process that traces us */
#else
#define WITH_SANITIZER 0
#endif

int sandbox_drop_capabilities(void)
{
	for (int cap = 0; cap <= 63; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EINVAL)
			return -errno;
	}
	return 0;
}

#ifdef OUR_ARCH

#define LOAD(field)                                                                                \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define LOAD_ARG(n)                                                                                \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS,                                                         \
		(uint32_t)(offsetof(struct seccomp_data, args) + 8 * (n)))
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, (uint32_t)(what))
#define NO ANSWER(SECCOMP_RET_ERRNO | EPERM)
#define YES ANSWER(SECCOMP_RET_ALLOW)
/* The call is never answered. */
#define NEVER(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 1), NO
/* Only with none of these bits in an argument. */
#define WITHOUT(name, arg, bits)                                                                   \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 4), LOAD_ARG(arg),                     \
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)(bits), 0, 1), NO, YES
/* Only with all of these bits in an argument. */
#define WITH(name, arg, bits)                                                                      \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 5), LOAD_ARG(arg),                     \
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (uint32_t)(bits)),                             \
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(bits), 0, 1), YES, NO
/* Only with this value in an argument. */
#define ONLY(name, arg, value)                                                                     \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 4), LOAD_ARG(arg),                     \
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, 1), YES, NO

#define WRITING (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

static const struct sock_filter filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0),
	ANSWER(SECCOMP_RET_KILL_PROCESS),
	LOAD(nr),
#ifdef X32_BIT
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
	NO,
#endif
	/* executing, and other processes */
	NEVER(execve),
	NEVER(execveat),
	NEVER(process_vm_readv),
	NEVER(process_vm_writev),
	NEVER(pidfd_open),
	NEVER(kcmp),
#if !WITH_SANITIZER
	NEVER(ptrace),
	WITH(clone, 0, CLONE_THREAD),
	/* its flags are in memory, where a filter cannot look; libc then asks for clone */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1),
	ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
#ifdef __NR_fork
	NEVER(fork),
	NEVER(vfork),
#endif
#endif
	/* files: reading only */
	WITHOUT(openat, 2, WRITING),
	NEVER(openat2),
#ifdef __NR_open
	WITHOUT(open, 1, WRITING),
	NEVER(creat),
	NEVER(unlink),
	NEVER(rename),
	NEVER(mkdir),
	NEVER(rmdir),
	NEVER(link),
	NEVER(symlink),
	NEVER(mknod),
	NEVER(chmod),
	NEVER(chown),
	NEVER(lchown),
#endif
	NEVER(unlinkat),
	NEVER(renameat2),
#ifdef __NR_renameat
	NEVER(renameat),
#endif
	NEVER(mkdirat),
	NEVER(linkat),
	NEVER(symlinkat),
	NEVER(mknodat),
	NEVER(truncate),
	NEVER(fchmodat),
	NEVER(fchownat),
	NEVER(fchmod),
	NEVER(fchown),
	NEVER(setxattr),
	NEVER(fsetxattr),
	NEVER(memfd_create),
	NEVER(io_uring_setup),
	/* the net: this host's sockets only */
	ONLY(socket, 0, AF_UNIX),
	NEVER(bind),
	NEVER(listen),
	/* the kernel, and rights */
	NEVER(mount),
	NEVER(umount2),
	NEVER(pivot_root),
	NEVER(chroot),
	NEVER(unshare),
	NEVER(setns),
	NEVER(bpf),
	NEVER(perf_event_open),
	NEVER(userfaultfd),
	NEVER(keyctl),
	NEVER(add_key),
	NEVER(request_key),
	NEVER(init_module),
	NEVER(finit_module),
	NEVER(delete_module),
	NEVER(kexec_load),
	NEVER(reboot),
	NEVER(swapon),
	NEVER(swapoff),
	NEVER(sethostname),
	NEVER(settimeofday),
	NEVER(clock_settime),
	NEVER(quotactl),
	NEVER(acct),
	NEVER(setuid),
	NEVER(setgid),
	NEVER(setresuid),
	NEVER(setresgid),
	NEVER(setgroups),
	NEVER(capset),
	YES,
};

int sandbox_enter(void)
{
	struct sock_filter copy[ARRAY_LEN(filter)];
	const struct sock_fprog program = {.len = ARRAY_LEN(filter), .filter = copy};

	for (size_t i = 0; i < ARRAY_LEN(filter); i++)
		copy[i] = filter[i];
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
		return errno == EINVAL ? -ENOTSUP : -errno;
	return 0;
}

#else

int sandbox_enter(void)
{
	return -ENOTSUP;
}

#endif
