#include <memory>

#include "subjects.hpp"

namespace {

// 64 bytes of which a reader folds two fields.
struct Payload {
    std::uint64_t a, b, rest[6]{};
    explicit Payload(std::uint64_t version) : a(version), b(version * fold) {}
};

struct alignas(line) Current {
    std::atomic<std::shared_ptr<const Payload>> payload{std::make_shared<const Payload>(0)};
};

void reads(Current& current, Worker& worker) {
    worker.cheap([&] {
        const auto payload = current.payload.load(std::memory_order_acquire);
        return payload->a ^ payload->b;
    });
}

void publish(Current& current, std::uint64_t version) {
    current.payload.store(std::make_shared<const Payload>(version), std::memory_order_release);
}

}  // namespace

void snapshot_read(Plan plan) {
    Current current;
    std::uint64_t version = 0;
    measure(
        plan, [&](Worker& worker) { reads(current, worker); },
        [&](Worker& worker) { worker.writes([&] { publish(current, ++version); }); });
}

void snapshot_publish(Plan plan) {
    Current current;
    std::uint64_t version = 0;
    plan.writer = Writer::flat;
    plan.others = plan.threads;
    plan.measured = 1;
    measure(
        plan, [&](Worker& worker) { worker.dear([&] { publish(current, ++version); }, [] {}); },
        [&](Worker& worker) { reads(current, worker); });
}
