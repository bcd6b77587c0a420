#define _GNU_SOURCE
#include "CSandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// The user that owns nothing.
#define NOBODY 65534
// Where failures before exec are told; the descriptor closes with exec.
#define REPORT 3

static void fail(const char *step) {
    cs_failure failure = {.code = errno};
    strncpy(failure.step, step, sizeof failure.step - 1);
    ssize_t told = write(REPORT, &failure, sizeof failure);
    (void)told;
    _exit(127);
}

static void die_with_parent(pid_t parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail("bind it to its parent");
    // It may have ended before. In a namespace of its own the parent has no number.
    if (getppid() != parent) _exit(127);
}

static void write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text)) fail(path);
    close(file);
}

static void limit(int what, uint64_t value, const char *step) {
    struct rlimit limit = {value, value};
    if (setrlimit(what, &limit) != 0) fail(step);
}

static void become_nobody(void) {
    if (geteuid() == 0
        && (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0))
        fail("become nobody");
    // Keys that whoever started this has at hand. Without such keys in the kernel there is nothing to leave.
    if (syscall(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS && errno != EPERM)
        fail("leave its keys");
    // What may not be looked into has a /proc/self that is root's, and could not say who it is in a namespace.
    if (prctl(PR_SET_DUMPABLE, 1) != 0) fail("own /proc/self");
}

static void make_namespaces(void) {
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
        fail("make namespaces");
    char text[64];
    write_file("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "%d %u 1", NOBODY, uid);
    write_file("/proc/self/uid_map", text);
    snprintf(text, sizeof text, "%d %u 1", NOBODY, gid);
    write_file("/proc/self/gid_map", text);
}

static void make_mounts(const char *const *hidden) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) fail("keep mounts apart");
    for (; *hidden; hidden++) {
        // What is not there, or cannot be reached by this user, is not seen as it is.
        if (mount("none", *hidden, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=0555") != 0
            && errno != ENOENT && errno != EACCES)
            fail("hide a directory");
    }
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0) fail("mount /proc");
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID};
    if (mount_setattr(-1, "/", AT_RECURSIVE, &attributes, sizeof attributes) != 0) fail("make everything read-only");
}

// No sockets, of whatever kind: a name in the file system leads out of a network of its own, also from a pair that was
// connected to nothing else. No memory that no process answers for, or that stays when nobody has it mapped, and
// nobody's keys.
static void forbid_calls(void) {
#if defined(__x86_64__)
    const uint32_t machine = AUDIT_ARCH_X86_64;
    // Calls with this bit are those of another interface.
    const uint32_t last = 0x3FFFFFFF;
#elif defined(__aarch64__)
    const uint32_t machine = AUDIT_ARCH_AARCH64;
    const uint32_t last = 0xFFFFFFFF;
#else
#error "which system calls make sockets here?"
#endif
    static const uint32_t forbidden[] = {
        __NR_socket, __NR_socketpair, __NR_io_uring_setup,
        __NR_shmget, __NR_msgget, __NR_semget, __NR_mq_open,
        __NR_keyctl, __NR_add_key, __NR_request_key,
    };
    enum { count = sizeof forbidden / sizeof *forbidden, refuse = 5 + count };
    // Jumps are counted from the next one.
    struct sock_filter filter[refuse + 1] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, machine, 0, refuse - 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, refuse - 4, 0),
        [refuse - 1] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        [refuse] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    for (int at = 4; at < refuse - 1; at++) {
        struct sock_filter same = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, forbidden[at - 4], refuse - at - 1, 0);
        filter[at] = same;
    }
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) fail("forbid system calls");
}

static void run(const cs_command *command) {
    setsid();
    limit(RLIMIT_CORE, 0, "limit core dumps");
    // Not even into what is no file on a disk.
    limit(RLIMIT_FSIZE, 0, "limit files");
    limit(RLIMIT_DATA, command->memory, "limit memory");
    // Mappings that need no memory of their own need tables, and some can be emptied without giving anything back.
    limit(RLIMIT_AS, 16 * command->memory, "limit the address space");
    limit(RLIMIT_CPU, command->processor, "limit processor time");
    limit(RLIMIT_NOFILE, 256, "limit descriptors");
    if (command->isolates) limit(RLIMIT_NPROC, command->tasks, "limit processes");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("give up rights");
    forbid_calls();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (chdir("/") != 0) fail("go to /");
    execve(command->arguments[0], (char *const *)command->arguments, (char *const *)command->environment);
    fail("run it");
}

// Ends as `child` does, and buries whatever else ends before.
static void follow(pid_t child) {
    // Whoever waits for exec waits for this one's descriptors, too.
    close_range(0, ~0U, 0);
    int status = 0;
    pid_t ended;
    while ((ended = wait(&status)) != child) {
        if (ended < 0 && errno != EINTR) _exit(127);
    }
    _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

// In the first process of the new namespaces: when it ends, the kernel ends all others there.
static void begin(const cs_command *command) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail("bind it to its parent");
    make_mounts(command->hidden);
    // Until exec, the child is as private.
    cs_keep_private();
    pid_t child = fork();
    if (child < 0) fail("make a process");
    if (child == 0) run(command);
    follow(child);
}

static void prepare(const cs_command *command, int report, pid_t parent) {
    // The three that it needs first, wherever they are now.
    int input = fcntl(command->input, F_DUPFD, 10), output = fcntl(command->output, F_DUPFD, 10);
    report = fcntl(report, F_DUPFD, 10);
    if (input < 0 || output < 0 || report < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0
        || dup3(report, REPORT, O_CLOEXEC) < 0)
        _exit(127);
    close_range(REPORT + 1, ~0U, 0);
    die_with_parent(parent);
    if (!command->isolates) run(command);
    // A pipe of root's could not be opened anew, as by the name /dev/stderr.
    if (geteuid() == 0) (void)!fchown(1, NOBODY, NOBODY);
    become_nobody();
    // Becoming somebody else has undone it.
    die_with_parent(parent);
    make_namespaces();
    pid_t first = fork();
    if (first < 0) fail("make a process");
    if (first == 0) begin(command);
    follow(first);
}

pid_t cs_start(const cs_command *command, cs_failure *failure) {
    memset(failure, 0, sizeof *failure);
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        failure->code = errno;
        strcpy(failure->step, "make a pipe");
        return -1;
    }
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) prepare(command, report[1], parent);
    int code = errno;
    close(report[1]);
    ssize_t told = -1;
    while (child > 0 && (told = read(report[0], failure, sizeof *failure)) < 0 && errno == EINTR) {}
    close(report[0]);
    if (child > 0 && told == 0) return child;
    if (child > 0) {
        kill(child, SIGKILL);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    }
    if (told != (ssize_t)sizeof *failure) {
        failure->code = code;
        strcpy(failure->step, "make a process");
    }
    return -1;
}

int cs_open_memory(void) { return memfd_create("document", MFD_CLOEXEC | MFD_ALLOW_SEALING); }

int cs_seal_memory(int descriptor) {
    if (fcntl(descriptor, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) return -1;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return open(path, O_RDONLY | O_CLOEXEC);
}

void cs_end_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); }

void cs_keep_private(void) { prctl(PR_SET_DUMPABLE, 0); }
