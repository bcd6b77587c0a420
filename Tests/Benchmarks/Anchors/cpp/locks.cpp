#include <unistd.h>

#include <mutex>
#include <shared_mutex>

#include "subjects.hpp"

void mutex(Plan plan) {
    struct alignas(line) {
        std::mutex lock;
        std::uint64_t first = 0, second = 0;
    } shared;
    measure(plan, [&](Worker& worker) {
        std::uint64_t x = worker.x;
        worker.dear(
            [&] {
                const std::lock_guard guard(shared.lock);
                shared.first++;
                shared.second++;
            },
            [&] { x = work_outside(x, plan.work); });
        worker.x = x;
        const std::lock_guard guard(shared.lock);
        worker.sum += shared.first ^ shared.second << 1;
    });
}

void rw_read(Plan plan) {
    struct alignas(line) {
        std::shared_mutex lock;
        std::uint64_t a = 1, b = fold;
    } shared;
    const auto read_once = [&] {
        std::uint64_t a, b;
        {
            const std::shared_lock guard(shared.lock);
            a = shared.a;
            b = shared.b;
        }
        if (b != a * fold) _exit(70);
        return a ^ b;
    };
    const auto reads = [&](Worker& worker) {
        if (plan.writer == Writer::none) return worker.cheap(read_once);
        // Beside a writer one read in 65 is timed alone: a batch's mean would hide who waited.
        worker.cheap(read_once, 1, [&] {
            for (int i = 0; i < batch / 64; i++) {
                const auto begun = Clock::now();
                worker.sum += read_once();
                worker.singles.add(Clock::now() - begun);
            }
            worker.ops += batch / 64;
        });
    };
    const auto writes = [&](Worker& worker) {
        worker.writes([&] {
            const auto asked = Clock::now();
            shared.lock.lock();
            const auto got = Clock::now();
            shared.a++;
            shared.b = shared.a * fold;
            shared.lock.unlock();
            worker.samples.add(got - asked);
        });
    };
    measure(plan, reads, writes, [&](const std::vector<Worker>& workers) { return extra_writes(plan, workers); });
}
