// Process-wide things that Swift's Glibc does not show: signal and event descriptors, the allocator's thresholds.
#pragma once

/// Blocks SIGTERM, SIGINT and SIGHUP for this thread and those it starts, and opens a descriptor that reads them.
/// Returns -1 on failure.
int cp_open_signals(void);
/// The next waiting signal's number; 0 when there is none.
int cp_next_signal(int descriptor);

/// A non-blocking event counter; -1 on failure.
int cp_open_event(void);
void cp_raise_event(int descriptor);
void cp_clear_event(int descriptor);

/// Blocks of at least `bytes` are mapped and unmapped one by one, instead of growing a heap that is never given back.
void cp_map_large_blocks(int bytes);

/// No core dump, not even by way of a program that core_pattern names, and no debugger of the same user.
void cp_forbid_dumps(void);
