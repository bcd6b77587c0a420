// Starting a program that may do next to nothing: what has to happen between fork and exec, where Swift must not run.
#pragma once
#include <stdint.h>
#include <sys/types.h>

/// A program and its bounds. All arrays end with a null pointer.
typedef struct cs_command {
    const char *_Nullable const *_Nonnull arguments;
    const char *_Nullable const *_Nonnull environment;
    /// Becomes its standard input.
    int input;
    /// Becomes its standard output and error.
    int output;
    /// Bytes of private memory of each of its processes.
    uint64_t memory;
    /// Seconds of processor time of each of its processes.
    uint64_t processor;
    /// Processes, where `isolates`.
    uint64_t tasks;
    /// Whether it gets namespaces of its own (users, processes, mounts, network, names, messages), in which everything is
    /// read-only. Without, somebody else has seen to that.
    int isolates;
    /// Directories whose content it must not see, where `isolates`.
    const char *_Nullable const *_Nonnull hidden;
} cs_command;

/// Why a program was not started.
typedef struct cs_failure {
    int code;
    char step[60];
} cs_failure;

/// Starts the program, in a session of its own. All its processes are killed when the one returned ends or is killed, where
/// `isolates`; elsewhere that is for its caller. It ends with the program's exit status, or 128 and the signal's number.
///
/// Returns its process id once the program runs, or -1 with `failure` filled in. For a process with one thread.
pid_t cs_start(const cs_command *_Nonnull command, cs_failure *_Nonnull failure);

/// A file in memory that nobody can change any more once it is sealed; -1 on failure.
int cs_open_memory(void);
/// Seals the file and opens it anew for reading alone. Returns -1 on failure.
int cs_seal_memory(int descriptor);

/// Has this process killed when its parent ends.
void cs_end_with_parent(void);
/// Lets nobody look into this process or what it has open. What it starts is as open as ever.
void cs_keep_private(void);
