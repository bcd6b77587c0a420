// What every case shares: the arguments, the threads, the loops that measure, and the line of JSON.
#pragma once

#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

constexpr std::size_t line = 128;  // two cache lines: the prefetcher fetches them in pairs
constexpr int batch = 256;
constexpr int lock_batch = 16;
constexpr std::uint64_t fold = 0x9E3779B97F4A7C15u;

enum class Writer { none, khz, flat };

// The arguments, and how many threads of each role run. A subject may change the roles.
struct Plan {
    unsigned threads = 1, ms = 150, work = 0, keys = 256;
    Writer writer = Writer::none;
    unsigned measured = 1, others = 0, pinned = 0;
};

// Log-linear in picoseconds: 16 buckets per power of two.
class Histogram {
public:
    void add(std::chrono::nanoseconds time, unsigned shared_by = 1);
    void merge(const Histogram& other);
    double percentile(double share) const;
    std::string json() const;

private:
    std::array<std::uint64_t, 976> counts{};
    std::uint64_t total = 0;
};

enum class Phase : int { warm, measure, stop };

struct alignas(line) SharedPhase {
    std::atomic<Phase> now{Phase::warm};
};
extern SharedPhase shared_phase;

using Clock = std::chrono::steady_clock;

inline std::uint64_t work_outside(std::uint64_t x, unsigned units) {
    for (unsigned i = 0; i < units; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}

// One thread of a run.
class alignas(line) Worker {
public:
    unsigned index = 0;
    std::uint64_t ops = 0, sum = 0, x = 0;
    std::chrono::nanoseconds elapsed{};
    Histogram samples;  // of the percentiles
    Histogram singles;  // of a case's extra histogram

    // Cheap operations, each giving something for the checksum: a sample is the mean of one batch in 61.
    template <typename Operation>
    void cheap(Operation operation) {
        cheap(operation, 61, [] {});
    }

    // The same with one batch in `every`; `after` runs once per batch.
    template <typename Operation, typename After>
    void cheap(Operation operation, unsigned every, After after) {
        std::uint64_t folded = 0;
        for (begin(); goes_on();) {
            const bool timed = is_sample(every);
            const auto begun = timed ? Clock::now() : Clock::time_point();
            for (int i = 0; i < batch; i++) folded += operation();
            if (timed) samples.add(Clock::now() - begun, batch);
            ops += batch;
            after();
        }
        sum += folded;
    }

    // Dearer operations: every 65th is timed alone. `outside` is part of the pace, not of the sample.
    template <typename Operation, typename Outside>
    void dear(Operation operation, Outside outside) {
        for (begin(); goes_on();) {
            for (int i = 0; i < lock_batch; i++) {
                operation();
                outside();
            }
            ops += lock_batch;
            if (!is_sample(4)) continue;
            const auto begun = Clock::now();
            operation();
            samples.add(Clock::now() - begun);
            outside();
            ops++;
        }
    }

    // A writer's loop: one write, then a pause where it is to be slow.
    template <typename Write>
    void writes(Write write) {
        for (begin(); goes_on();) {
            write();
            ops++;
            pause();
        }
    }

private:
    Phase phase = Phase::warm;
    unsigned until_sample = 1;
    Clock::time_point started;

    bool goes_on() {
        const Phase seen = shared_phase.now.load(std::memory_order_acquire);
        return seen == phase || enter(seen);
    }
    bool is_sample(unsigned every) {
        if (--until_sample != 0) return false;
        until_sample = every;
        return true;
    }
    void begin();
    bool enter(Phase seen);
    void pause();
};

using Role = std::function<void(Worker&)>;
using Extra = std::function<std::string(const std::vector<Worker>&)>;

// Runs the roles as the plan says and prints the line. Without another role there are no other threads.
void measure(Plan plan, const Role& measured, const Role& other = {}, const Extra& extra = {});

// The extra fields of a reader-writer lock under a writer.
std::string extra_writes(const Plan& plan, const std::vector<Worker>& workers);

struct Subject {
    const char* case_name;
    const char* name;
    void (*run)(Plan plan);
};
extern const std::vector<Subject> subjects;
extern std::string case_name, subject_name;
